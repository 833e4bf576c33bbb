import { sql } from 'kysely'
import type { Tx } from '../database/connect.ts'
import { unsettledSql } from '../mirror/queries.ts'
import { isDue, isOpen } from './queries.ts'

/** A table of which versions were published that have not been looked at, locked. */
export interface FollowedTable {
  tableId: string
  location: string
  /** The newest version that has been looked at. */
  after: number
  /** The newest version to look at now. */
  to: number
}

/** Versions of a table that wait to be published, from which on its checksums wait as well. */
const backlogMax = 1_000
/** So many wait at most. */
const waitingMax = 20_000

/**
 * Locks tables of which versions were published that have no checksum yet, those that nobody else is at; of each so
 * many versions as there is room for, and of all no more than `versionsMax`. A table whose publisher has much to
 * catch up with is left to it, unless too many wait here as well. Of `tableIds` each is found by its keys; without
 * them all that are not settled are looked at, by tables_unsettled_idx.
 */
export async function lockFollowed(
  tx: Tx,
  tableIds: readonly string[] | undefined,
  { tablesMax, versionsMax }: { tablesMax: number; versionsMax: number },
): Promise<FollowedTable[]> {
  const { rows } = await sql<FollowedTable>`
    select c.table_id as "tableId", t.location, c.checksum_version as after,
      m.published_version as "to"
    from checkpoints c
    cross join lateral (select * from mirrors where table_id = c.table_id limit 1) m
    cross join lateral (select * from tables where id = c.table_id limit 1) t
    where c.table_id = any(${tableIds === undefined ? unsettledSql : sql`${tableIds}::uuid[]`})
      and m.published_version > c.checksum_version and ${isOpen} and ${isDue}
      and (t.version - m.published_version < ${backlogMax}
        or m.published_version - c.checksum_version > ${waitingMax})
    limit ${tablesMax}
    for update of c skip locked`.execute(tx)
  const each = Math.max(1, Math.floor(versionsMax / Math.max(1, rows.length)))
  return rows.map((row) => ({ ...row, to: Math.min(row.to, row.after + each) }))
}

/** A version that is to get a checksum. */
export interface VersionRow {
  tableId: string
  version: number
  numFiles: number
  sizeInBytes: number | bigint
  inCommitTimestamp: number
  commitInfo: string | null
}

const spansOf = (tables: readonly FollowedTable[]) => sql`
  unnest(
    ${tables.map(({ tableId }) => tableId)}::uuid[],
    ${tables.map(({ after }) => after)}::bigint[],
    ${tables.map(({ to }) => to)}::bigint[]) as s (table_id, after, last)`

/** The versions to look at, in their order; found by commits_pkey. */
export async function listVersions(
  tx: Tx,
  tables: readonly FollowedTable[],
): Promise<VersionRow[]> {
  const { rows } = await sql<VersionRow>`
    select s.table_id as "tableId", c.version, c.num_files as "numFiles",
      c.size_in_bytes as "sizeInBytes", c.in_commit_timestamp as "inCommitTimestamp",
      c.commit_info as "commitInfo"
    from ${spansOf(tables)}
    cross join lateral (
      select * from commits c
      where c.table_id = s.table_id and c.version > s.after and c.version <= s.last
      order by c.version
    ) c
    order by c.version`.execute(tx)
  return rows
}

/** An action that holds until the next one of its kind and key. */
export interface KeyedAction {
  tableId: string
  version: number
  kind: string
  key: string
  action: string
}

/** Actions with a key in the versions to look at, in their order; found by actions_pkey. */
export async function listKeyedActions(
  tx: Tx,
  tables: readonly FollowedTable[],
): Promise<KeyedAction[]> {
  const { rows } = await sql<KeyedAction>`
    select s.table_id as "tableId", a.version, a.kind, a.key, a.action
    from ${spansOf(tables)}
    cross join lateral (
      select * from actions a
      where a.table_id = s.table_id and a.version > s.after and a.version <= s.last
        and a.key is not null
      order by a.version, a.position
    ) a
    order by a.version, a.position`.execute(tx)
  return rows
}

/**
 * What holds at the last version that was looked at, of each kind the first `keysMax` keys. The keys are those of
 * actions_current_key, and each is found by actions_history_idx.
 */
export async function listHolding(
  tx: Tx,
  tables: readonly FollowedTable[],
  keysMax: number,
): Promise<KeyedAction[]> {
  const { rows } = await sql<KeyedAction>`
    select s.table_id as "tableId", h.version, h.kind, h.key, h.action
    from ${spansOf(tables)}
    cross join unnest(array['protocol', 'metaData', 'txn', 'domainMetadata']) as k (kind)
    cross join lateral (
      select a.kind, a.key, a.version, a.action
      from actions c
      join lateral (
        select kind, key, version, action from actions
        where table_id = c.table_id and key is not null
          and (kind, key, version) <= (c.kind, c.key, s.after)
        order by kind desc, key desc, version desc
        limit 1
      ) a on a.kind = c.kind and a.key = c.key
      where c.table_id = s.table_id and c.kind = k.kind and c.key is not null
        and c.superseded_version is null
      order by c.key
      limit ${keysMax}
    ) h
    where s.after >= 0`.execute(tx)
  return rows
}

/** How far a table has been looked at, and where its checkpoint is due. */
export interface FollowedTo {
  tableId: string
  version: number
  dueVersion: number
}

export async function recordFollowed(tx: Tx, done: readonly FollowedTo[]): Promise<void> {
  if (done.length === 0) return
  await sql`
    update checkpoints c set checksum_version = d.version,
      due_version = greatest(c.due_version, d.due_version)
    from unnest(
      ${done.map(({ tableId }) => tableId)}::uuid[],
      ${done.map(({ version }) => version)}::bigint[],
      ${done.map(({ dueVersion }) => dueVersion)}::bigint[]) as d (table_id, version, due_version)
    where c.table_id = d.table_id`.execute(tx)
}
