import { sql } from 'kysely'
import type { Db, Tx } from '../database/connect.ts'

/** Begins the mirror of a new table, with nothing published. */
export async function insertMirror(tx: Tx, tableId: string): Promise<void> {
  await tx.insertInto('mirrors').values({ table_id: tableId }).execute()
}

/** A mirror that has something to publish, locked. */
export interface LockedMirror {
  tableId: string
  location: string
  version: number
  publishedVersion: number
  attempts: number
}

/**
 * Locks the mirrors of those tables of which something waits to be published and that no other server is at. The
 * lock makes this the table's only publisher, and ends with the transaction, also when the server dies.
 */
export async function lockMirrors(tx: Tx, tableIds: readonly string[]): Promise<LockedMirror[]> {
  const { rows } = await sql<LockedMirror>`
    select m.table_id as "tableId", t.location, t.version,
      m.published_version as "publishedVersion", m.attempts
    from mirrors m join tables t on t.id = m.table_id
    where m.table_id = any(${tableIds}::uuid[]) and m.published_version < t.version
      and m.state <> 'forked' and (m.next_retry_at is null or m.next_retry_at <= clock_timestamp())
    for update of m skip locked`.execute(tx)
  return rows
}

/** Records for each of the tables that all versions up to this one are published. */
export async function recordPublished(
  tx: Tx,
  published: readonly { tableId: string; version: number }[],
): Promise<void> {
  if (published.length === 0) return
  await sql`
    update mirrors m set published_version = p.version, published_at = clock_timestamp(),
      state = 'publishing', attempts = 0, last_error = null, next_retry_at = null
    from unnest(
      ${published.map(({ tableId }) => tableId)}::uuid[],
      ${published.map(({ version }) => version)}::bigint[]) as p (table_id, version)
    where m.table_id = p.table_id`.execute(tx)
}

/** An attempt that came to nothing. Without a delay nothing more is published: the log has been forked. */
export interface MirrorFailure {
  tableId: string
  attempts: number
  error: string
  delayMs: number | null
}

/** Records failed attempts, and when the next ones are due. */
export async function recordFailures(tx: Tx, failures: readonly MirrorFailure[]): Promise<void> {
  if (failures.length === 0) return
  await sql`
    update mirrors m set
      state = case when f.delay_ms is null then 'forked' else 'retrying' end,
      attempts = f.attempts, last_error = f.error,
      next_retry_at = clock_timestamp() + f.delay_ms * interval '1 ms'
    from unnest(
      ${failures.map(({ tableId }) => tableId)}::uuid[],
      ${failures.map(({ attempts }) => attempts)}::integer[],
      ${failures.map(({ error }) => error)}::text[],
      ${failures.map(({ delayMs }) => delayMs)}::double precision[])
      as f (table_id, attempts, error, delay_ms)
    where m.table_id = f.table_id`.execute(tx)
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
