import { type RawBuilder, sql } from 'kysely'
import type { Db, Tx } from '../database/connect.ts'

/** Begins to follow a table whose versions up to this one need no checksum. */
export async function insertCheckpoints(
  tx: Tx,
  { tableId, publishedVersion }: { tableId: string; publishedVersion: number },
): Promise<void> {
  await tx
    .insertInto('checkpoints')
    .values({ table_id: tableId, checksum_version: publishedVersion })
    .execute()
}

/** Whether nobody has stopped the mirror `m`: what is beside its commits may be written. */
export const isOpen = sql`(m.paused_at is null and m.state <> 'forked')`

/** Whether the last attempt for the table of `c` went well, or was long enough ago. */
export const isDue = sql`(c.next_retry_at is null or c.next_retry_at <= clock_timestamp())`

/** Claims to write a table's checkpoint for a while; false when another does, or has written one behind `newestMax`. */
export async function claimCheckpoint(
  db: Db,
  { tableId, newestMax, forMs }: { tableId: string; newestMax: number; forMs: number },
): Promise<boolean> {
  const { rows } = await sql`
    update checkpoints set claimed_until = clock_timestamp() + ${forMs} * interval '1 ms'
    where table_id = ${tableId}::uuid and version <= ${newestMax}
      and (claimed_until is null or claimed_until <= clock_timestamp())
    returning table_id`.execute(db)
  return rows.length > 0
}

/** Goes on with a claim, or with 0 lets go of it. */
export async function renewClaim(
  db: Db,
  { tableId, forMs }: { tableId: string; forMs: number },
): Promise<void> {
  await sql`
    update checkpoints set claimed_until = clock_timestamp() + ${forMs} * interval '1 ms'
    where table_id = ${tableId}::uuid`.execute(db)
}

/** The tables of which a checkpoint is due that nobody writes, the longest known first; by checkpoints_due_idx. */
export async function listDueCheckpoints(
  db: Db,
  limit: number,
): Promise<{ tableId: string; dueVersion: number }[]> {
  const { rows } = await sql<{ tableId: string; dueVersion: number }>`
    select c.table_id as "tableId", c.due_version as "dueVersion"
    from checkpoints c
    cross join lateral (select * from mirrors where table_id = c.table_id limit 1) m
    where c.due_version > c.version and ${isOpen} and ${isDue}
      and (c.claimed_until is null or c.claimed_until <= clock_timestamp())
    order by c.next_retry_at nulls first, c.table_id
    limit ${limit}`.execute(db)
  return rows
}

/** Records that a checkpoint is written. */
export async function recordCheckpoint(
  db: Db,
  { tableId, version }: { tableId: string; version: number },
): Promise<void> {
  await sql`
    update checkpoints set version = greatest(version, ${version}),
      attempts = 0, last_error = null, next_retry_at = null
    where table_id = ${tableId}::uuid`.execute(db)
}

/** Records attempts that failed, and when the next ones are due: after a wait that doubles, up to an hour. */
export async function recordCheckpointFailures(
  db: Db,
  failures: readonly { tableId: string; error: string }[],
): Promise<void> {
  if (failures.length === 0) return
  await sql`
    update checkpoints c set attempts = c.attempts + 1, last_error = f.error,
      next_retry_at = clock_timestamp() + least(3600, 5 * 2 ^ least(c.attempts, 20)) * interval '1 s'
    from unnest(
      ${failures.map(({ tableId }) => tableId)}::uuid[],
      ${failures.map(({ error }) => error)}::text[]) as f (table_id, error)
    where c.table_id = f.table_id`.execute(db)
}

/** What a checkpoint of a version is made from, besides its rows. */
export interface CheckpointGround {
  location: string
  /** By the database's clock, in milliseconds since 1970. */
  now: number
  numFiles: number
}

/** Of the oldest version of an imported table the commit may not be known. */
export async function findCheckpointGround(
  db: Db,
  { tableId, version }: { tableId: string; version: number },
): Promise<CheckpointGround | undefined> {
  const { rows } = await sql<CheckpointGround>`
    select t.location, (extract(epoch from clock_timestamp()) * 1000)::bigint as now,
      coalesce(c.num_files, t.num_files) as "numFiles"
    from tables t left join commits c on c.table_id = t.id and c.version = ${version}
    where t.id = ${tableId}::uuid`.execute(db)
  return rows[0]
}

/** A version of a table; times in milliseconds since 1970. */
export interface CheckpointRows {
  tableId: string
  version: number
  /** App transactions that were last updated before are forgotten. */
  appTransactionsSince: number | undefined
  /** Tombstones of files removed before are forgotten. */
  tombstonesSince: number
}

/**
 * For `copyOut`: the protocol, the metadata, domains that are not removed, and app transactions at a version. What has
 * ever been in force has a successor that still is, so the keys are those of actions_current_key.
 */
export function allActionsInForce(of: CheckpointRows): RawBuilder<unknown> {
  const [table, version] = [sql`${sql.lit(of.tableId)}::uuid`, sql.lit(of.version)]
  const since = of.appTransactionsSince
  const isKept =
    since === undefined
      ? sql`true`
      : sql`coalesce((a.action #>> '{txn,lastUpdated}')::bigint >= ${sql.lit(since)}, true)`
  return sql`
    select a.action
    from actions c
    join lateral (
      select kind, key, action from actions
      where table_id = c.table_id and key is not null
        and (kind, key, version) <= (c.kind, c.key, ${version})
      order by kind desc, key desc, version desc
      limit 1
    ) a on a.kind = c.kind and a.key = c.key
    where c.table_id = ${table} and c.key is not null and c.superseded_version is null
      and case a.kind
        when 'domainMetadata' then (a.action #>> '{domainMetadata,removed}')::boolean is not true
        when 'txn' then ${isKept} else true end
    order by array_position(array['protocol', 'metaData', 'domainMetadata'], a.kind), a.key`
}

/**
 * For `copyOut`: tombstones, then live files at a version. A removed file is a tombstone from the time that its remove
 * tells, but not longer than from its commit on: so of the removes before the first commit that counts none is looked
 * at. One that is live again, with the same deletion vector, is none; of several removes of a file the last counts.
 */
export function allFileActions(of: CheckpointRows): RawBuilder<unknown> {
  const [table, version] = [sql`${sql.lit(of.tableId)}::uuid`, sql.lit(of.version)]
  const since = sql.lit(of.tombstonesSince)
  // What lives on is found by files_live_path_key, what has ended since by files_removed_idx.
  const addedAgain = (andNotRemoved: RawBuilder<unknown>) => sql`
          select from files g
          where g.table_id = ${table} and g.path = f.path and ${andNotRemoved}
            and g.added_version > f.removed_version and g.added_version <= ${version}
            and g.deletion_vector_id is not distinct from f.deletion_vector_id`
  return sql`
    (select distinct on (f.path, f.deletion_vector_id) f.remove
      from files f
      where f.table_id = ${table} and f.removed_version <= ${version} and f.remove is not null
        and f.removed_version > coalesce((
          select c.version from commits c
          where c.table_id = ${table} and c.in_commit_timestamp < ${since}
          order by c.in_commit_timestamp desc limit 1), -2)
        and (f.remove #>> '{remove,deletionTimestamp}')::bigint >= ${since}
        and not exists (${addedAgain(sql`g.removed_version is null`)})
        and not exists (${addedAgain(sql`g.removed_version > ${version}`)})
      order by f.path, f.deletion_vector_id, f.removed_version desc)
    union all
    (select f.add from files f
      where f.table_id = ${table} and f.added_version <= ${version}
        and (f.removed_version is null or f.removed_version > ${version}))`
}

/** What of a log has outlived its time. */
export interface Expiry {
  location: string
  /** By the database's clock, in milliseconds since 1970. */
  now: number
  newestExpired: number
}

/**
 * The newest version, not behind `version`, that was committed at the cut-off or before; undefined when there is none,
 * or when the log has been cleaned up to it. `cutoff` tells the cut-off from the time that it is.
 */
export async function findExpiry(
  db: Db,
  { tableId, version }: { tableId: string; version: number },
  cutoff: (now: number) => number,
): Promise<Expiry | undefined> {
  const { rows: clock } = await sql<{ now: number }>`
    select (extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(db)
  const now = clock[0]?.now ?? 0
  const { rows } = await sql<Omit<Expiry, 'now'>>`
    select t.location, e.version as "newestExpired"
    from checkpoints k
    join tables t on t.id = k.table_id
    join lateral (
      select version from commits c
      where c.table_id = k.table_id and c.in_commit_timestamp <= ${cutoff(now)}
        and c.version <= ${version}
      order by c.in_commit_timestamp desc limit 1
    ) e on e.version > k.cleaned_version
    where k.table_id = ${tableId}::uuid`.execute(db)
  const [expiry] = rows
  return expiry && { ...expiry, now }
}

/** Records that what had expired with these versions is gone from the log. */
export async function recordCleanUp(
  db: Db,
  { tableId, version }: { tableId: string; version: number },
): Promise<void> {
  await sql`
    update checkpoints set cleaned_version = greatest(cleaned_version, ${version})
    where table_id = ${tableId}::uuid`.execute(db)
}
