import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import type { Long } from '../delta/actions.ts'
import { longMax } from '../delta/longs.ts'
import { areNamed } from '../tables/queries.ts'

/** An action in force at a version, as its log line, and the version that brought it. */
export interface ActionInForce {
  kind: 'protocol' | 'metaData' | 'txn' | 'domainMetadata'
  action: string
  version: number
}

/** App transactions that a snapshot tells of at most, and domains. */
export const snapshotKeysMax = 1000

/**
 * The protocol, the metadata, and the newest txn and domainMetadata of each key at a version, of the first
 * `snapshotKeysMax` keys and one more. What has ever been in force has a successor that still is, so the keys are those
 * of actions_current_key. The rows are compared whole so that each action is the first to be met in
 * actions_history_idx, and no other index can be taken.
 */
export async function listActionsInForce(
  db: Db,
  tableId: string,
  version: number,
): Promise<ActionInForce[]> {
  const ofKind = (kind: ActionInForce['kind']) => sql`(
    select a.kind, a.action, a.version, c.key
    from actions c
    join lateral (
      select kind, key, action, version from actions
      where table_id = c.table_id and key is not null
        and (kind, key, version) <= (c.kind, c.key, ${version})
      order by kind desc, key desc, version desc
      limit 1
    ) a on a.kind = c.kind and a.key = c.key
    where c.table_id = ${tableId}::uuid and c.kind = ${kind} and c.key is not null
      and c.superseded_version is null
    order by c.key
    limit ${snapshotKeysMax + 1})`
  const kinds = (['protocol', 'metaData', 'domainMetadata', 'txn'] as const).map(ofKind)
  const { rows } = await sql<ActionInForce>`
    select kind, action, version from (${sql.join(kinds, sql` union all `)}) inForce
    order by kind, key`.execute(db)
  return rows
}

/** The protocol or metadata in force at a version, as its log line. Found by actions_history_idx. */
export async function getActionInForce(
  db: Db,
  table: { tableId: string; version: number },
  kind: 'protocol' | 'metaData',
): Promise<string> {
  const { action } = await db
    .selectFrom('actions')
    .select('action')
    .where('table_id', '=', table.tableId)
    .where('kind', '=', kind)
    .where('key', '=', '')
    .where('version', '<=', table.version)
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow()
  return action
}

/** The newest app transaction of an application. Found by actions_current_key. */
export function findAppTransaction(
  db: Db,
  tableId: string,
  appId: string,
): Promise<{ action: string; version: number } | undefined> {
  return db
    .selectFrom('actions')
    .select(['action', 'version'])
    .where('table_id', '=', tableId)
    .where('kind', '=', 'txn')
    .where('key', '=', appId)
    .where('superseded_version', 'is', null)
    .executeTakeFirst()
}

/** A table, and its newest version that is not younger than a time; null where it had none then. */
export interface TableAt {
  id: string
  name: string
  droppedAt: string | null
  newestVersion: number
  historyFrom: number
  version: number | null
  inCommitTimestamp: number | null
}

/**
 * Tables, named by id or by name, as they were at a time in epoch milliseconds, or are. It is one statement, and the
 * heads of a unit of work move together, so it sees all of a transaction or nothing.
 */
export async function findTablesAt(
  db: Db,
  tables: readonly string[],
  time: Long = longMax,
): Promise<TableAt[]> {
  const { rows } = await sql<TableAt>`
    select id, name, dropped_at as "droppedAt", t.version as "newestVersion",
      history_from as "historyFrom", c.version, c.in_commit_timestamp as "inCommitTimestamp"
    from tables t
    left join lateral (
      select version, in_commit_timestamp from commits
      where table_id = t.id and in_commit_timestamp <= ${time} and version <= t.version
      order by in_commit_timestamp desc
      limit 1
    ) c on true
    where ${areNamed(tables)}`.execute(db)
  return rows
}

/** The place of a live file in the order of files: where its add stands in the log. */
export interface FilePlace {
  addedVersion: number
  addedPosition: number
}

/** The place before all files. */
export const beforeFiles: FilePlace = { addedVersion: -1, addedPosition: 0 }

/** Files that are live at a version, as log lines, from behind `after`. Read in the order of files_pkey. */
export async function listFiles(
  db: Db,
  { tableId, version }: { tableId: string; version: number },
  { after, limit }: { after: FilePlace; limit: number },
): Promise<(FilePlace & { add: string })[]> {
  const { rows } = await sql<FilePlace & { add: string }>`
    select added_version as "addedVersion", added_position as "addedPosition", add from files
    where table_id = ${tableId}::uuid
      and (added_version, added_position) > (${after.addedVersion}, ${after.addedPosition})
      and added_version <= ${version} and (removed_version is null or removed_version > ${version})
    order by added_version, added_position
    limit ${limit}`.execute(db)
  return rows
}

/** For `copyOut`: all that `listFiles` would list, from behind `after`. */
export function allFiles(
  { tableId, version }: { tableId: string; version: number },
  after: FilePlace,
): RawBuilder<unknown> {
  const [at, place] = [sql.lit(version), [after.addedVersion, after.addedPosition].map(sql.lit)]
  return sql`
    select add from files
    where table_id = ${sql.lit(tableId)}::uuid
      and (added_version, added_position) > (${sql.join(place)})
      and added_version <= ${at} and (removed_version is null or removed_version > ${at})
    order by added_version, added_position`
}
