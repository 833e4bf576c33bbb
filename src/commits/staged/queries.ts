import { type RawBuilder, sql } from 'kysely'
import type { Tx } from '../../database/connect.ts'
import { lineWithRowIds, rowIdsIn } from '../row-id-text.ts'
import type { StageWrite } from '../rows.ts'
import { liveFile, type StageOf } from './live-file.ts'
import { contradictedPaths } from './row-id-queries.ts'
import { noFiles } from './rules.ts'
import type { FileSums } from './staged-files.ts'

/** A staged file, and the live one of the same path. */
export interface StagedRow {
  position: number
  path: string
  line: string
  isLive: boolean
  liveVectorId: string | null
  liveAdd: string | null
}

const sums = sql`
  count(*) as "numFiles", coalesce(sum(f.size), 0)::bigint as "sizeInBytes",
  coalesce(sum(f.num_records), 0)::bigint as "numRecords",
  count(*) - count(f.num_records) as "numFilesWithoutRecords"`

/** What the live files come to that the stage removes. */
export async function sumRemoved(tx: Tx, of: StageOf): Promise<FileSums> {
  const { rows } = await sql<FileSums>`
    select ${sums} from ${sql.table(of.stage)} s join ${liveFile(of)}
    where s.kind = 'remove'
      and f.deletion_vector_id is not distinct from s.deletion_vector_id`.execute(tx)
  return rows[0] ?? noFiles
}

/** What the live files come to that the stage adds anew, without removing them. */
export async function sumReplaced(tx: Tx, of: StageOf): Promise<FileSums> {
  const { rows } = await sql<FileSums>`
    select ${sums}
    from (
      select path, bool_or(kind = 'remove') as "isRemoved",
        max(deletion_vector_id) filter (where kind = 'remove') as "removedVectorId"
      from ${sql.table(of.stage)} group by path having bool_or(kind = 'add')
    ) s
    join ${liveFile(of)}
    where not ("isRemoved" and f.deletion_vector_id is not distinct from "removedVectorId")`.execute(
    tx,
  )
  return rows[0] ?? noFiles
}

/** Staged files that are judged under the lock: all, or those of some kinds. */
export type Which = 'all' | Kinds

/** Repeated are those whose path is staged twice; live are adds; contradicted removes tell other row ids. */
interface Kinds {
  repeated: boolean
  late: boolean
  live: boolean
  contradicted: boolean
}

/** Opens a cursor over staged files. All files of a path come one after the other. */
export async function declareStaged(tx: Tx, of: StageOf, which: Which): Promise<void> {
  const stage = sql.table(of.stage)
  await sql`
    declare staged no scroll cursor for
    select s.position, s.path, s.line, f.path is not null as "isLive",
      f.deletion_vector_id as "liveVectorId", f.add as "liveAdd"
    from ${stage} s left join ${liveFile(of)}
    ${which === 'all' ? sql`` : sql`where s.path in (${sql.join(pathsOf(of, which), sql` union `)})`}
    order by s.path, s.position`.execute(tx)
}

function pathsOf(of: StageOf, { repeated, late, live, contradicted }: Kinds) {
  const stage = sql.table(of.stage)
  return [
    ...(repeated ? [sql`select path from ${stage} group by path having count(*) > 1`] : []),
    ...(late ? [sql`select path from ${stage} where is_late`] : []),
    ...(live ? [sql`select s.path from ${stage} s join ${liveFile(of)} where s.kind = 'add'`] : []),
    ...(contradicted ? [contradictedPaths(of)] : []),
  ]
}

/** The next files of the cursor. */
export async function fetchStaged(tx: Tx, limit: number): Promise<StagedRow[]> {
  const { rows } = await sql<StagedRow>`fetch ${sql.lit(limit)} from staged`.execute(tx)
  return rows
}

/** Closes the cursor, so that one over another stage can be opened. */
export async function closeStaged(tx: Tx): Promise<void> {
  await sql`close staged`.execute(tx)
}

/** Of these canonical paths, those that the stage adds and removes. */
export async function findStagedPaths(
  tx: Tx,
  { stage }: StageOf,
  paths: readonly string[],
): Promise<{ path: string; kind: string }[]> {
  if (paths.length === 0) return []
  const { rows } = await sql<{ path: string; kind: string }>`
    select path, kind from ${sql.table(stage)} where path = any(${paths}::text[])`.execute(tx)
  return rows
}

/** Ends the lives of the files that the stage removes. */
async function applyRemoves(tx: Tx, write: StageWrite): Promise<void> {
  const { line, ids } = linesOf(write, rowIdsIn(sql`f.add`))
  await sql`
    update files set removed_version = ${write.version}, removed_position = e.position, remove = e.line
    from (
      select f.place, s.position, ${line} as line
      from ${sql.table(write.stage)} s join ${liveFile(write)} ${ids}
      where s.kind = 'remove' and f.deletion_vector_id is not distinct from s.deletion_vector_id
    ) e
    where files.ctid = e.place`.execute(tx)
}

/** The lines of staged files, and what must be joined to make them: `ids`, where the table tracks rows. */
function linesOf({ highestRowId }: StageWrite, ids: RawBuilder<unknown>) {
  return highestRowId === undefined
    ? { line: sql`s.line`, ids: sql`` }
    : { line: lineWithRowIds, ids: sql`cross join ${ids}` }
}

/** Keeps each remove of no live file as a life of no length: a tombstone. Comes after `applyRemoves`. */
async function insertTombstones(tx: Tx, of: StageOf, version: number): Promise<void> {
  await sql`
    insert into files (table_id, added_version, added_position, path, deletion_vector_id, size,
      removed_version, removed_position, remove)
    select ${of.tableId}::uuid, ${version}, s.position, s.path, s.deletion_vector_id, 0,
      ${version}, s.position, s.line
    from ${sql.table(of.stage)} s
    where s.kind = 'remove' and not exists (
      select from files f where f.table_id = ${of.tableId}::uuid
        and f.removed_version = ${version} and f.removed_position = s.position
    )`.execute(tx)
}

/** Ends the lives of the files that the stage adds anew without removing them; comes after `insertTombstones`. */
async function replaceLives(tx: Tx, of: StageOf, version: number): Promise<void> {
  await sql`
    update files set removed_version = ${version}
    from (
      select f.place from ${sql.table(of.stage)} s join ${liveFile(of)} where s.kind = 'add'
    ) e
    where files.ctid = e.place`.execute(tx)
}

/** Begins the lives of the files that the stage adds; comes last. */
async function applyAdds(tx: Tx, write: StageWrite): Promise<void> {
  const { stage, tableId, version, highestRowId } = write
  const assigned = sql`lateral (
      select coalesce(s.base_row_id, ${highestRowId}::numeric + 1 + s.num_row_ids_before) as base_row_id,
        coalesce(s.row_version, ${version}) as row_version
      offset 0
    ) ids`
  const { line, ids } = linesOf(write, assigned)
  await sql`
    insert into files (table_id, added_version, added_position, path, deletion_vector_id, size,
      num_records, add)
    select ${tableId}::uuid, ${version}, s.position, s.path, s.deletion_vector_id, s.size,
      s.num_records, ${line}
    from ${sql.table(stage)} s ${ids} where s.kind = 'add'`.execute(tx)
}

/** Issues the statements that make the staged files those of a version, in the order in which they must run. */
export function applyStage(tx: Tx, write: StageWrite): Promise<void>[] {
  const { version, hasRemoves, hasTombstones, replacesFiles } = write
  return [
    ...(hasRemoves ? [applyRemoves(tx, write)] : []),
    ...(hasTombstones ? [insertTombstones(tx, write, version)] : []),
    ...(replacesFiles ? [replaceLives(tx, write, version)] : []),
    applyAdds(tx, write),
  ]
}
