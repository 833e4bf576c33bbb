import { sql } from 'kysely'
import type { Db, Tx } from '../database/connect.ts'

/** Begins the mirror of a new table, with nothing published. */
export async function insertMirror(tx: Tx, tableId: string): Promise<void> {
  await tx.insertInto('mirrors').values({ table_id: tableId }).execute()
}

/** A mirror that has something to publish, locked. */
export interface LockedMirror {
  location: string
  version: number
  publishedVersion: number
  attempts: number
}

/**
 * Locks the mirror of a table if something waits to be published and no other server is at it. The lock makes
 * this the table's only publisher, and ends with the transaction, also when the server dies.
 */
export async function lockMirror(tx: Tx, tableId: string): Promise<LockedMirror | undefined> {
  const { rows } = await sql<LockedMirror>`
    select t.location, t.version, m.published_version as "publishedVersion", m.attempts
    from mirrors m join tables t on t.id = m.table_id
    where m.table_id = ${tableId}::uuid and m.published_version < t.version
      and m.state <> 'forked' and (m.next_retry_at is null or m.next_retry_at <= clock_timestamp())
    for update of m skip locked`.execute(tx)
  return rows[0]
}

/** Records that all versions up to this one are published. */
export async function recordPublished(tx: Tx, tableId: string, version: number): Promise<void> {
  await sql`
    update mirrors set published_version = ${version}, published_at = clock_timestamp(),
      state = 'publishing', attempts = 0, last_error = null, next_retry_at = null
    where table_id = ${tableId}::uuid`.execute(tx)
}

/** Records a failed attempt, and when the next one is due. */
export async function recordFailure(
  tx: Tx,
  tableId: string,
  failure: { attempts: number; error: string; delayMs: number },
): Promise<void> {
  await sql`
    update mirrors set state = 'retrying', attempts = ${failure.attempts},
      last_error = ${failure.error},
      next_retry_at = clock_timestamp() + ${failure.delayMs} * interval '1 ms'
    where table_id = ${tableId}::uuid`.execute(tx)
}

/** Records that the log holds something that this service did not write. Nothing more is published. */
export async function recordFork(tx: Tx, tableId: string, error: string): Promise<void> {
  await sql`
    update mirrors set state = 'forked', last_error = ${error}, next_retry_at = null
    where table_id = ${tableId}::uuid`.execute(tx)
}

/** What waits to be published. */
export interface Backlog {
  /** Tables whose newest commits are not all published. */
  tables: number
  /** Milliseconds since the oldest commit that waits, forks aside: those wait for a person. */
  lagMs: number
  /** The tables to be published now, the longest waiting first. */
  due: string[]
}

/** Looks up what waits to be published; of the tables that are due at most `limit`. */
export async function findBacklog(db: Db, limit: number): Promise<Backlog> {
  const { rows } = await sql<Backlog>`
    with behind as (
      select m.table_id, m.state <> 'forked' as waits, c.committed_at,
        m.next_retry_at is null or m.next_retry_at <= clock_timestamp() as due
      from mirrors m
      join tables t on t.id = m.table_id
      join commits c on c.table_id = m.table_id and c.version = m.published_version + 1
      where m.published_version < t.version
    )
    select count(*) as tables,
      coalesce(extract(epoch from clock_timestamp() - min(committed_at) filter (where waits)), 0)
        ::float8 * 1000 as "lagMs",
      array(
        select table_id::text from behind where waits and due order by committed_at limit ${limit}
      ) as due
    from behind`.execute(db)
  const [backlog] = rows
  if (backlog === undefined) throw new Error('a query without groups answers one row')
  return backlog
}
