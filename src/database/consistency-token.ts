import { sql } from 'kysely'
import type { Db } from './connect.ts'

/** How a consistency token is written: as PostgreSQL writes a place in its write-ahead log. */
export const consistencyTokenPattern = '^[0-9A-F]{1,8}/[0-9A-F]{1,8}$'

/**
 * Asks for the end of the write-ahead log, which every commit that was answered lies before. Whoever has replayed
 * the log up to there shows them all.
 */
export const consistencyTokenQuery = {
  name: 'consistency-token',
  text: 'select pg_current_wal_insert_lsn() as token',
}

/**
 * Reads the token out of its query's answer. Undefined when there is none: by then the transaction has committed,
 * and losing the token must not be told as losing the write.
 */
export function readToken(
  answered: Promise<{ rows: readonly { token: string }[] }>,
): Promise<string | undefined> {
  return answered.then(
    ({ rows }) => rows[0]?.token,
    () => undefined,
  )
}

/** A token for all that has been committed before, or undefined when PostgreSQL has gone away since. */
export function findConsistencyToken(db: Db): Promise<string | undefined> {
  return readToken(sql.raw<{ token: string }>(consistencyTokenQuery.text).execute(db))
}
