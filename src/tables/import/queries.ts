import { sql } from 'kysely'
import type { FileSums } from '../../commits/staged/staged-files.ts'
import type { Tx } from '../../database/connect.ts'
import type { LogPlace } from './log-rows.ts'

/** The table of a session that holds the actions of a log while it is taken over. */
export const stageTable = 'imported'
/** The lives of the files in it, and the removes of files that were not there. */
export const lives = 'imported_lives'

/** Makes the table, which goes with the transaction. What is sorted here is large, and sorted once. */
export async function createStageTable(tx: Tx): Promise<void> {
  await sql`set local work_mem = '64MB'`.execute(tx)
  await sql`
    create temporary table ${sql.table(stageTable)} (
      version bigint not null,
      position integer not null,
      kind text not null,
      key text,
      vector_id text,
      size bigint,
      num_records bigint,
      app_version bigint,
      line json not null
    ) on commit drop`.execute(tx)
}

/**
 * Follows the files from action to action. Files are told apart by path and deletion vector; in one version removes
 * come before adds.
 */
export async function followFiles(tx: Tx): Promise<void> {
  await sql`analyze ${sql.table(stageTable)}`.execute(tx)
  await sql`
    create temporary table ${sql.table(lives)} on commit drop as
    select * from (
      select ctid as place, kind, version, position, key as path, vector_id, size, num_records,
        lag(kind) over file as kind_before, lag(version) over file as version_before,
        lag(ctid) over file as place_before, lead(kind) over file as end_kind,
        lead(version) over file as end_version, lead(position) over file as end_position,
        lead(ctid) over file as end_place
      from ${sql.table(stageTable)} where kind in ('add', 'remove')
      window file as (partition by key, vector_id order by version, kind = 'add', position)
    ) events
    where kind = 'add' or kind_before is distinct from 'add'`.execute(tx)
  await sql`analyze ${sql.table(lives)}`.execute(tx)
}

/** An action that leaves open what its table holds. */
export interface Ambiguity extends LogPlace {
  key: string
}

/** The first file that one version names twice: added and removed, or added with different contents. */
export async function findRepeatedFile(tx: Tx): Promise<Ambiguity | undefined> {
  const { rows } = await sql<Ambiguity>`
    select l.version, l.position, l.path as key
    from ${sql.table(lives)} l
    join ${sql.table(stageTable)} now on now.ctid = l.place
    join ${sql.table(stageTable)} before on before.ctid = l.place_before
    where l.kind = 'add' and l.version_before = l.version and now.line::text <> before.line::text
    order by l.version, l.position limit 1`.execute(tx)
  return rows[0]
}

/** The first file that is added while it is in the table with another deletion vector. */
export async function findDoubleFile(tx: Tx): Promise<Ambiguity | undefined> {
  const { rows } = await sql<Ambiguity>`
    select next_version as version, next_position as position, path as key
    from (
      select path, end_version, lead(version) over path as next_version,
        lead(position) over path as next_position
      from ${sql.table(lives)} where kind = 'add'
      window path as (partition by path order by version, end_version nulls last, position)
    ) l
    where next_version < end_version or (end_version is null and next_version is not null)
    order by next_version, next_position limit 1`.execute(tx)
  return rows[0]
}

/** The first action that says otherwise what its own version has said already. */
export async function findRepeatedAction(
  tx: Tx,
): Promise<(Ambiguity & { kind: string }) | undefined> {
  const { rows } = await sql<Ambiguity & { kind: string }>`
    select * from (
      select version, position, kind, key, line::text as line,
        lag(version) over same as version_before, lag(line::text) over same as line_before
      from ${sql.table(stageTable)} where kind in ${replacing}
      window same as (partition by kind, key order by version, position)
    ) a
    where version_before = version and line <> line_before
    order by version, position limit 1`.execute(tx)
  return rows[0]
}

/** Kinds of actions of which a later one replaces an earlier one. */
export const replacing = sql`('protocol', 'metaData', 'txn', 'domainMetadata')`

/** A history that is taken over: its table, and the oldest version with a snapshot. What came before is of `from` - 1. */
export interface TakenHistory {
  tableId: string
  from: number
  /** What version `from` - 1 comes to, where the history continues a table; its files have been staged as well. */
  before?: FileSums
}

/** The files of the stage become those of the table. */
export async function insertImportedFiles(
  tx: Tx,
  { tableId, from, before }: TakenHistory,
): Promise<void> {
  await sql`
    insert into files (table_id, added_version, added_position, removed_version, removed_position,
      path, deletion_vector_id, size, num_records, add, remove)
    select ${tableId}::uuid, greatest(l.version, ${from - 1}), l.position,
      case when l.kind = 'add' then l.end_version else greatest(l.version, ${from - 1}) end,
      case when l.kind = 'remove' then l.position when l.end_kind = 'remove' then l.end_position end,
      l.path, l.vector_id, coalesce(l.size, 0), l.num_records,
      case when l.kind = 'add' then own.line end,
      case when l.kind = 'remove' then own.line when l.end_kind = 'remove' then ended.line end
    from (
      select * from ${sql.table(lives)}
      where version >= ${before === undefined ? 0 : from}
        and (end_version is null or end_version >= ${from} or (kind = 'remove' and version >= ${from}))
      order by version, position
    ) l
    join ${sql.table(stageTable)} own on own.ctid = l.place
    left join ${sql.table(stageTable)} ended on ended.ctid = l.end_place and l.kind = 'add'
      and l.end_kind = 'remove'`.execute(tx)
}

/** The other actions of the stage become those of the table; the first commitInfo of a version belongs to its commit. */
export async function insertImportedActions(
  tx: Tx,
  { tableId, from }: TakenHistory,
): Promise<void> {
  await sql`
    insert into actions (table_id, version, position, kind, key, superseded_version, app_version,
      action)
    select ${tableId}::uuid, greatest(version, ${from - 1}), position, kind, key, next_version,
      app_version, line
    from (
      select *, lead(version) over (partition by kind, key order by version, position) as next_version
      from ${sql.table(stageTable)} where kind in ${replacing}
    ) a
    where next_version is null or next_version >= ${from}`.execute(tx)
  await sql`
    insert into actions (table_id, version, position, kind, action)
    select ${tableId}::uuid, version, position, case kind when 'line' then 'other' else kind end, line
    from (
      select *, row_number() over (partition by version, kind order by position) as number
      from ${sql.table(stageTable)}
      where kind not in ('add', 'remove', 'protocol', 'metaData', 'txn', 'domainMetadata')
    ) a
    where version >= ${from} and (kind <> 'commitInfo' or number > 1)`.execute(tx)
}

/** The commits of the stage become those of the table; `times` are those of its versions from `from` on. */
export async function insertImportedCommits(
  tx: Tx,
  { tableId, from, before }: TakenHistory,
  times: readonly number[],
): Promise<void> {
  const { numFiles, sizeInBytes, numRecords, numFilesWithoutRecords } = before ?? noFiles
  await sql`
    insert into commits (table_id, version, in_commit_timestamp, committed_at, operation,
      num_added_files, num_removed_files, num_added_bytes, num_removed_bytes,
      num_files, size_in_bytes, num_records, num_files_without_records,
      commit_info, commit_info_position)
    with added as (
      select version, count(*) as files, sum(size) as bytes
      from ${sql.table(stageTable)} where kind = 'add' group by version
    ), removed as (
      select version, count(*) as files
      from ${sql.table(stageTable)} where kind = 'remove' group by version
    ), ended as (
      select end_version as version, sum(size) as bytes
      from ${sql.table(lives)} where kind = 'add' and end_kind = 'remove' group by end_version
    ), changed as (
      select version, sum(sign) as files, sum(sign * size) as bytes,
        sum(sign * coalesce(num_records, 0)) as records,
        sum(sign) filter (where num_records is null) as without_records
      from (
        select greatest(version, ${from}) as version, 1 as sign, size, num_records
        from ${sql.table(lives)}
        where kind = 'add' and version >= ${before === undefined ? 0 : from}
        union all
        select greatest(end_version, ${from}), -1, size, num_records
        from ${sql.table(lives)} where kind = 'add' and end_version is not null
      ) c
      group by version
    ), info as (
      select distinct on (version) version, position, key as operation, line
      from ${sql.table(stageTable)} where kind = 'commitInfo' order by version, position
    )
    select ${tableId}::uuid, v.version, v.time, to_timestamp(v.time / 1000.0),
      coalesce(info.operation, ${unknownOperation}),
      coalesce(added.files, 0), coalesce(removed.files, 0), coalesce(added.bytes, 0),
      coalesce(ended.bytes, 0),
      ${numFiles} + sum(coalesce(changed.files, 0)) over so_far,
      ${sizeInBytes} + sum(coalesce(changed.bytes, 0)) over so_far,
      ${numRecords} + sum(coalesce(changed.records, 0)) over so_far,
      ${numFilesWithoutRecords} + sum(coalesce(changed.without_records, 0)) over so_far,
      info.line, info.position
    from (
      select ${from} + number - 1 as version, time
      from unnest(${times}::bigint[]) with ordinality as t (time, number)
    ) v
    left join added using (version) left join removed using (version)
    left join ended using (version) left join changed using (version)
    left join info using (version)
    window so_far as (order by v.version)`.execute(tx)
}

const noFiles: FileSums = { numFiles: 0, sizeInBytes: 0, numRecords: 0, numFilesWithoutRecords: 0 }

/** What a commit did whose writer does not say. */
const unknownOperation = 'UNKNOWN'

/** What the newest version of a table comes to. */
export async function getImportedTotals(tx: Tx, tableId: string): Promise<FileSums> {
  const { rows } = await sql<FileSums>`
    select num_files as "numFiles", size_in_bytes as "sizeInBytes", num_records as "numRecords",
      num_files_without_records as "numFilesWithoutRecords"
    from commits where table_id = ${tableId}::uuid order by version desc limit 1`.execute(tx)
  const [totals] = rows
  if (totals === undefined) throw new Error('a table was imported without a version')
  return totals
}

/** Applications and domains in force on the newest version of a table. */
export async function countKeys(
  tx: Tx,
  tableId: string,
): Promise<{ appTransactions: number; domains: number }> {
  const { rows } = await sql<{ appTransactions: number; domains: number }>`
    select count(*) filter (where kind = 'txn') as "appTransactions",
      count(*) filter (
        where kind = 'domainMetadata' and action::text !~ '"removed"\\s*:\\s*true'
      ) as domains
    from actions
    where table_id = ${tableId}::uuid and key is not null and superseded_version is null`.execute(
    tx,
  )
  return rows[0] ?? { appTransactions: 0, domains: 0 }
}
