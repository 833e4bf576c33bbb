import { sql } from 'kysely'
import type { Db, Tx } from '../database/connect.ts'
import type { Span, WaitingPart } from './order.ts'
import type { Fork, MirrorRow, MirrorStateName, NextAttempt } from './rules.ts'

/** Begins the mirror of a new table, in whose log the versions up to `published` stand already. */
export async function insertMirror(tx: Tx, tableId: string, published = -1): Promise<void> {
  const row = { table_id: tableId, published_version: published }
  await tx.insertInto('mirrors').values(row).execute()
}

/** What a caller is told of the mirror `m` of the table `t`. */
export const mirrorStateSql = sql<MirrorStateName>`
  case
    when m.paused_at is not null then 'paused'
    when m.state = 'forked' then 'forked'
    when m.published_version = t.version then 'current'
    when m.state = 'publishing' then 'behind'
    else m.state
  end`

/** The age of the oldest commit of the table `t` that its mirror `m` has not published. */
export const mirrorLagSql = sql<number | null>`(
  select extract(epoch from clock_timestamp() - c.committed_at)::float8 * 1000
  from commits c where c.table_id = t.id and c.version = m.published_version + 1
)`

/**
 * The tables for whose logs there may be something to do, by tables_unsettled_idx. Asked for as an array they are looked
 * up by their keys, whatever is known of the tables when a statement is planned.
 */
export const unsettledSql = sql<string[]>`array(select id from tables where is_unsettled)`

/** What fails and recovers together with the table `t`; as `storeOf` has it. */
export const storeSql = sql`coalesce(substring(t.location from '^[a-z][a-z0-9+.-]*://[^/]*'), 'local')`

/** A table with its mirror. */
export interface TableMirror extends MirrorRow {
  tableId: string
  name: string
  location: string
  version: number
  droppedAt: string | null
}

/** States that few tables are in, so that mirrors_unwell_idx finds them. */
const isUnwell = (state: MirrorStateName | undefined) =>
  state !== undefined && state !== 'current' && state !== 'behind'

/**
 * The mirrors of all tables by table id, from behind `after`: by mirrors_pkey, or of few by mirrors_unwell_idx or
 * tables_unsettled_idx.
 */
export async function listMirrors(
  db: Db,
  { state }: { state: MirrorStateName | undefined },
  { after, limit }: { after: string | undefined; limit: number },
): Promise<TableMirror[]> {
  const { rows } = await sql<TableMirror>`
    select t.id as "tableId", t.name, t.location, t.version, t.dropped_at as "droppedAt",
      m.published_version as "publishedVersion", ${mirrorStateSql} as "mirrorState",
      m.last_error as "lastError", m.next_retry_at as "nextRetryAt", m.paused_at as "pausedAt",
      m.fork, ${mirrorLagSql} as "lagMs"
    from mirrors m join tables t on t.id = m.table_id
    where ${after === undefined ? sql`true` : sql`m.table_id > ${after}::uuid`}
      and ${state === undefined ? sql`true` : sql`${mirrorStateSql} = ${state}`}
      and ${isUnwell(state) ? sql`(m.state <> 'publishing' or m.paused_at is not null)` : sql`true`}
      and ${state === 'behind' ? sql`t.is_unsettled` : sql`true`}
    order by m.table_id
    limit ${limit}`.execute(db)
  return rows
}

/**
 * Locks the mirror of a table, which waits until no server publishes it; answers how far it is. Whoever has locked
 * the head of the table as well must have done so before.
 */
export async function lockMirror(
  tx: Tx,
  tableId: string,
): Promise<{ publishedVersion: number; version: number }> {
  const { rows } = await sql<{ publishedVersion: number; version: number }>`
    select m.published_version as "publishedVersion", t.version
    from mirrors m join tables t on t.id = m.table_id
    where m.table_id = ${tableId}::uuid
    for update of m`.execute(tx)
  const [mirror] = rows
  if (mirror === undefined) throw new Error(`the table ${tableId} has no mirror`)
  return mirror
}

/** Pauses the mirror of a table, which waits until no server publishes it, or lets it go on. */
export async function updatePaused(tx: Tx, tableId: string, isPaused: boolean): Promise<void> {
  await tx
    .updateTable('mirrors')
    .set({ paused_at: isPaused ? sql`coalesce(paused_at, clock_timestamp())` : null })
    .where('table_id', '=', tableId)
    .execute()
}

/** Forgets what failed at a mirror, so that it is tried anew. */
export async function resetMirror(tx: Tx, tableId: string): Promise<void> {
  await tx
    .updateTable('mirrors')
    .set({ state: 'publishing', attempts: 0, last_error: null, next_retry_at: null, fork: null })
    .where('table_id', '=', tableId)
    .execute()
}

/** A mirror that has something to publish, locked. */
export interface LockedMirror {
  tableId: string
  location: string
  version: number
  publishedVersion: number
  attempts: number
  /** Whether a version that waits is part of a transaction. */
  isShared: boolean
}

/**
 * Whether the mirror `m` may go on by itself: nobody has paused it, and its log is not forked. A fork at a version that
 * had not been committed is met anew once it is, so that what both sides have is on record; where the log lacks that
 * version and goes on behind it, ours would come to stand before what was made without it.
 */
export const goesOnSql = sql<boolean>`
  m.paused_at is null
  and (m.state <> 'forked' or (m.fork->'ours' is null and m.fork->'nextVersion' is null))`

export const isDueSql = sql<boolean>`(m.next_retry_at is null or m.next_retry_at <= clock_timestamp())`

/**
 * Locks the mirrors of those tables of which something waits to be published and that no other server is at. The
 * lock makes this the table's only publisher, and ends with the transaction, also when the server dies. What is part of
 * a transaction is found by commits_shared_idx.
 */
export async function lockMirrors(tx: Tx, tableIds: readonly string[]): Promise<LockedMirror[]> {
  const { rows } = await sql<LockedMirror>`
    select m.table_id as "tableId", t.location, t.version,
      m.published_version as "publishedVersion", m.attempts,
      (select c.version from commits c
        where c.table_id = m.table_id and c.version > m.published_version
          and c.transaction_id is not null
        order by c.version limit 1) is not null as "isShared"
    from mirrors m join tables t on t.id = m.table_id
    where m.table_id = any(${tableIds}::uuid[]) and m.published_version < t.version
      and ${goesOnSql} and ${isDueSql}
    for update of m skip locked`.execute(tx)
  return rows
}

/** When versions of a table were committed, in milliseconds since 1970; by commits_pkey. */
export async function findCommitTimes(
  tx: Tx,
  tableId: string,
  versions: readonly number[],
): Promise<Map<number, number>> {
  const { rows } = await sql<{ version: number; time: number }>`
    select version, in_commit_timestamp as time from commits
    where table_id = ${tableId}::uuid and version = any(${versions}::bigint[])`.execute(tx)
  return new Map(rows.map(({ version, time }) => [version, time]))
}

/**
 * All that waits of the transactions that have a version in a span, found by commits_shared_idx and
 * commits_transaction_idx. A table is waited for unless it is paused, forked, or failed last time, or lies in a store
 * that is left alone.
 */
export async function listWaitingParts(
  tx: Tx,
  spans: readonly Span[],
  restingStores: readonly string[],
): Promise<WaitingPart[]> {
  const { rows } = await sql<WaitingPart>`
    select p.transaction_id as "transactionId", p.table_id as "tableId", p.version,
      m.state = 'publishing' and m.paused_at is null
        and ${storeSql} <> all(${restingStores}::text[]) as "isAwaited"
    from (
      select distinct c.transaction_id
      from unnest(
        ${spans.map(({ tableId }) => tableId)}::uuid[],
        ${spans.map(({ publishedVersion }) => publishedVersion)}::bigint[],
        ${spans.map(({ to }) => to)}::bigint[]) as s (table_id, after, last)
      cross join lateral (
        select transaction_id from commits
        where table_id = s.table_id and version > s.after and version <= s.last
          and transaction_id is not null
        order by version
      ) c
    ) met
    cross join lateral (
      select transaction_id, table_id, version from commits
      where transaction_id = met.transaction_id
      order by table_id
    ) p
    join mirrors m on m.table_id = p.table_id and m.published_version < p.version
    join tables t on t.id = p.table_id`.execute(tx)
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
      state = 'publishing', attempts = 0, last_error = null, next_retry_at = null, fork = null
    from unnest(
      ${published.map(({ tableId }) => tableId)}::uuid[],
      ${published.map(({ version }) => version)}::bigint[]) as p (table_id, version)
    where m.table_id = p.table_id`.execute(tx)
}

/** An attempt that came to nothing. */
export interface MirrorFailure extends NextAttempt {
  tableId: string
  attempts: number
  error: string
  /** Where the log is forked, and only there. */
  fork?: Fork | undefined
}

/** Records failed attempts, and when the next ones are due. */
export async function recordFailures(tx: Tx, failures: readonly MirrorFailure[]): Promise<void> {
  if (failures.length === 0) return
  await sql`
    update mirrors m set
      state = f.state, attempts = f.attempts, last_error = f.error, fork = f.fork,
      next_retry_at = clock_timestamp() + f.delay_ms * interval '1 ms'
    from unnest(
      ${failures.map(({ tableId }) => tableId)}::uuid[],
      ${failures.map(({ state }) => state)}::text[],
      ${failures.map(({ attempts }) => attempts)}::integer[],
      ${failures.map(({ error }) => error)}::text[],
      ${failures.map(({ delayMs }) => delayMs ?? null)}::double precision[],
      ${failures.map(({ fork }) => (fork === undefined ? null : JSON.stringify(fork)))}::json[])
      as f (table_id, state, attempts, error, delay_ms, fork)
    where m.table_id = f.table_id`.execute(tx)
}
