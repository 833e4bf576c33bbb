import { sql } from 'kysely'
import type { Tx } from '../database/connect.ts'
import { rowIdsIn } from './row-id-text.ts'
import type { ActionRow, ActionUpdate, CommitRow, FileRow, FileUpdate, LiveFile } from './rows.ts'

/**
 * The live files at these places. Each is the first in files_live_path_key from its place on and up to it: asked for
 * like this, no other index can be taken, whatever is known of the table when the statement is planned, and where a
 * million files were just removed nobody walks over them.
 */
export async function findLiveFiles(
  tx: Tx,
  places: readonly { tableId: string; path: string }[],
): Promise<LiveFile[]> {
  if (places.length === 0) return []
  const { rows } = await sql<LiveFile>`
    select f.table_id as "tableId", f.path, f.added_version as "addedVersion",
      f.added_position as "addedPosition", f.deletion_vector_id as "deletionVectorId",
      f.size, f.num_records as "numRecords", f.add
    from unnest(
      ${places.map((place) => place.tableId)}::uuid[],
      ${places.map((place) => place.path)}::text[]) as place (table_id, path)
    join lateral (
      select * from files
      where removed_version is null and (table_id, path) >= (place.table_id, place.path)
        and (table_id, path) <= (place.table_id, place.path)
      order by table_id, path
      limit 1
    ) f on true`.execute(tx)
  return rows
}

/**
 * How many live files of these tables lack row ids; none where readers rely on them already. It looks at every
 * live file, so ask only when that is about to change.
 */
export async function countFilesWithoutRowIds(
  tx: Tx,
  tableIds: readonly string[],
): Promise<{ tableId: string; count: number }[]> {
  if (tableIds.length === 0) return []
  const { rows } = await sql<{ tableId: string; count: number }>`
    select t.id as "tableId", case
      when t.metadata #>> '{metaData,configuration,delta.enableRowTracking}' = 'true' then 0
      else (
        select count(*) from files f cross join ${rowIdsIn(sql`f.add`)}
        where f.table_id = t.id and f.removed_version is null
          and (ids.base_row_id is null or ids.row_version is null))
      end as count
    from tables t where t.id = any(${tableIds}::uuid[])`.execute(tx)
  return rows
}

/** The columns of `commits as c` as a `CommitRow`. */
export const commitColumns = sql`
      c.table_id as "tableId", c.version, c.in_commit_timestamp as "inCommitTimestamp",
      c.operation, c.transaction_id as "transactionId", c.num_added_files as "numAddedFiles", c.num_removed_files as "numRemovedFiles",
      c.num_added_bytes as "numAddedBytes", c.num_removed_bytes as "numRemovedBytes",
      c.num_files as "numFiles", c.size_in_bytes as "sizeInBytes", c.num_records as "numRecords",
      c.num_files_without_records as "numFilesWithoutRecords", c.commit_info as "commitInfo"`

/** The commits of these versions, of those that there are. */
export async function findCommits(
  tx: Tx,
  versions: readonly { tableId: string; version: number }[],
): Promise<CommitRow[]> {
  if (versions.length === 0) return []
  const { rows } = await sql<CommitRow>`
    select ${commitColumns}
    from unnest(
      ${versions.map((one) => one.tableId)}::uuid[],
      ${versions.map((one) => one.version)}::bigint[]) as wanted (table_id, version)
    join commits c using (table_id, version)`.execute(tx)
  return rows
}

export async function insertCommits(tx: Tx, rows: readonly CommitRow[]): Promise<void> {
  if (rows.length === 0) return
  await sql`
    insert into commits (table_id, version, in_commit_timestamp, operation, num_added_files,
      num_removed_files, num_added_bytes, num_removed_bytes, num_files, size_in_bytes, num_records,
      num_files_without_records, commit_info, transaction_id)
    select * from unnest(
      ${rows.map((row) => row.tableId)}::uuid[],
      ${rows.map((row) => row.version)}::bigint[],
      ${rows.map((row) => row.inCommitTimestamp)}::bigint[],
      ${rows.map((row) => row.operation)}::text[],
      ${rows.map((row) => row.numAddedFiles)}::bigint[],
      ${rows.map((row) => row.numRemovedFiles)}::bigint[],
      ${rows.map((row) => row.numAddedBytes)}::bigint[],
      ${rows.map((row) => row.numRemovedBytes)}::bigint[],
      ${rows.map((row) => row.numFiles)}::bigint[],
      ${rows.map((row) => row.sizeInBytes)}::bigint[],
      ${rows.map((row) => row.numRecords)}::bigint[],
      ${rows.map((row) => row.numFilesWithoutRecords)}::bigint[],
      ${rows.map((row) => row.commitInfo)}::json[],
      ${rows.map((row) => row.transactionId)}::uuid[])`.execute(tx)
}

export async function insertFiles(tx: Tx, rows: readonly FileRow[]): Promise<void> {
  if (rows.length === 0) return
  await sql`
    insert into files (table_id, added_version, added_position, removed_version, removed_position,
      path, deletion_vector_id, size, num_records, add, remove)
    select * from unnest(
      ${rows.map((row) => row.tableId)}::uuid[],
      ${rows.map((row) => row.addedVersion)}::bigint[],
      ${rows.map((row) => row.addedPosition)}::integer[],
      ${rows.map((row) => row.removedVersion)}::bigint[],
      ${rows.map((row) => row.removedPosition)}::integer[],
      ${rows.map((row) => row.path)}::text[],
      ${rows.map((row) => row.deletionVectorId)}::text[],
      ${rows.map((row) => row.size)}::bigint[],
      ${rows.map((row) => row.numRecords)}::bigint[],
      ${rows.map((row) => row.add)}::json[],
      ${rows.map((row) => row.remove)}::json[])`.execute(tx)
}

/** Ends the lives of files. Must come before `insertFiles`, which may begin a new life at the same path. */
export async function endFiles(tx: Tx, ends: readonly FileUpdate[]): Promise<void> {
  if (ends.length === 0) return
  await sql`
    update files f
    set removed_version = e.removed_version, removed_position = e.removed_position, remove = e.remove
    from unnest(
      ${ends.map((end) => end.tableId)}::uuid[],
      ${ends.map((end) => end.addedVersion)}::bigint[],
      ${ends.map((end) => end.addedPosition)}::integer[],
      ${ends.map((end) => end.removedVersion)}::bigint[],
      ${ends.map((end) => end.removedPosition)}::integer[],
      ${ends.map((end) => end.remove)}::json[])
      as e (table_id, added_version, added_position, removed_version, removed_position, remove)
    where f.table_id = e.table_id and f.added_version = e.added_version
      and f.added_position = e.added_position`.execute(tx)
}

export async function insertActions(tx: Tx, rows: readonly ActionRow[]): Promise<void> {
  if (rows.length === 0) return
  await sql`
    insert into actions (table_id, version, position, kind, key, superseded_version, app_version,
      action)
    select * from unnest(
      ${rows.map((row) => row.tableId)}::uuid[],
      ${rows.map((row) => row.version)}::bigint[],
      ${rows.map((row) => row.position)}::integer[],
      ${rows.map((row) => row.kind)}::text[],
      ${rows.map((row) => row.key)}::text[],
      ${rows.map((row) => row.supersededVersion)}::bigint[],
      ${rows.map((row) => row.appVersion)}::bigint[],
      ${rows.map((row) => row.action)}::json[])`.execute(tx)
}

/**
 * Ends the force of actions. Must come before `insertActions`. Each is looked for in actions_current_key as in
 * `findLiveFiles`.
 */
export async function supersedeActions(tx: Tx, ends: readonly ActionUpdate[]): Promise<void> {
  if (ends.length === 0) return
  await sql`
    update actions a set superseded_version = e.superseded_version
    from unnest(
      ${ends.map((end) => end.tableId)}::uuid[],
      ${ends.map((end) => end.kind)}::text[],
      ${ends.map((end) => end.key)}::text[],
      ${ends.map((end) => end.supersededVersion)}::bigint[])
      as e (table_id, kind, key, superseded_version)
    join lateral (
      select table_id, kind, key, version, position from actions
      where key is not null and superseded_version is null
        and (table_id, kind, key) >= (e.table_id, e.kind, e.key)
        and (table_id, kind, key) <= (e.table_id, e.kind, e.key)
      order by table_id, kind, key
      limit 1
    ) c on true
    where a.table_id = c.table_id and a.version = c.version and a.position = c.position`.execute(tx)
}
