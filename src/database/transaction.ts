import { sql } from 'kysely'
import type { Db, Tx } from './connect.ts'

/**
 * Runs `work` in one PostgreSQL transaction at READ COMMITTED; row locks taken in it order the writers.
 * It commits when `work` returns and rolls back when it throws. Effects outside the database belong after it.
 */
export function inTransaction<Result>(db: Db, work: (tx: Tx) => Promise<Result>): Promise<Result> {
  return db.transaction().setIsolationLevel('read committed').execute(work)
}

const beatMs = 1000

/**
 * Runs `work` outside the database while a transaction waits for it. PostgreSQL, which ends transactions that do nothing
 * for long, is told that somebody is there.
 */
export async function whileAlive<Result>(tx: Tx, work: () => Promise<Result>): Promise<Result> {
  // Where the connection is lost, the next statement tells.
  const heart = setInterval(() => sql`select`.execute(tx).catch(() => {}), beatMs)
  try {
    return await work()
  } finally {
    clearInterval(heart)
  }
}
