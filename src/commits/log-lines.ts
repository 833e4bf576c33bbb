import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../database/connect.ts'

/** A line of a table's log: the `position`-th of its version's file, from 0. */
export interface LogLine {
  version: number
  position: number
  line: string
}

/** A stretch of a table's log, from behind `after` up to the end of version `to`. */
export interface LogRange {
  tableId: string
  after: { version: number; position: number }
  to: number
}

/** The place before the first line of a version. */
export function beforeVersion(version: number): LogRange['after'] {
  return { version: version - 1, position: 2 ** 31 - 1 }
}

/** What of a log is read, as SQL. */
type RangePlaces = Record<'tableId' | 'version' | 'position' | 'to', RawBuilder<unknown>>

/**
 * The lines of a log in their order; `limit` is for each kind of line. Actions in a place below zero share a line, which
 * is kept by itself.
 */
function linesOf({ tableId, version, position, to }: RangePlaces, limit: RawBuilder<unknown>) {
  return sql`
      (select c.version, c.commit_info_position as position, commit_info as line from commits c
        where c.table_id = ${tableId} and c.version >= ${version} and c.version <= ${to}
          and (c.version, c.commit_info_position) > (${version}, ${position})
          and c.commit_info_position >= 0
        order by c.version ${limit})
      union all
      (select a.version, a.position, action from actions a
        where a.table_id = ${tableId} and (a.version, a.position) > (${version}, ${position})
          and a.version <= ${to} and a.position >= 0
        order by a.version, a.position ${limit})
      union all
      (select added_version, added_position, add from files f
        where f.table_id = ${tableId}
          and (added_version, added_position) > (${version}, ${position})
          and added_version <= ${to} and added_position >= 0 and add is not null
        order by added_version, added_position ${limit})
      union all
      (select removed_version, removed_position, remove from files f
        where f.table_id = ${tableId}
          and (removed_version, removed_position) > (${version}, ${position})
          and removed_version <= ${to} and removed_position >= 0 and remove is not null
        order by removed_version, removed_position ${limit})
      order by version, position`
}

/** For `copyOut`: all lines of a stretch of a log, or each with its version before it. */
export function allLogLines(
  { tableId, after, to }: LogRange,
  { withVersions = false } = {},
): RawBuilder<unknown> {
  const places = {
    tableId: sql`${sql.lit(tableId)}::uuid`,
    version: sql.lit(after.version),
    position: sql.lit(after.position),
    to: sql.lit(to),
  }
  const columns = withVersions ? sql`version, line` : sql`line`
  return sql`select ${columns} from (${linesOf(places, sql``)}) l order by version, position`
}

/** The next lines of a log, exactly as they stand in its files, at most `limit`. */
export async function listLogLines(db: Db, range: LogRange, limit: number): Promise<LogLine[]> {
  return (await listLogs(db, [range], limit)).get(range.tableId) ?? []
}

/**
 * The next lines of several logs by table, exactly as they stand in its files, at most `limit` of each. Each branch
 * reads no more than that, in the order of its index: commits_pkey, actions_pkey, files_pkey, files_removed_idx.
 */
export async function listLogs(
  db: Db,
  ranges: readonly LogRange[],
  limit: number,
): Promise<Map<string, LogLine[]>> {
  const places = {
    tableId: sql`r.table_id`,
    version: sql`r.version`,
    position: sql`r.position`,
    to: sql`r.last`,
  }
  const { rows } = await sql<LogLine & { tableId: string }>`
    select r.table_id as "tableId", l.version, l.position, l.line
    from unnest(
      ${ranges.map(({ tableId }) => tableId)}::uuid[],
      ${ranges.map(({ after }) => after.version)}::bigint[],
      ${ranges.map(({ after }) => after.position)}::integer[],
      ${ranges.map(({ to }) => to)}::bigint[]) as r (table_id, version, position, last)
    cross join lateral (
      ${linesOf(places, sql`limit ${limit}`)}
      limit ${limit}
    ) l
    order by l.version, l.position`.execute(db)
  return Map.groupBy(rows, (row) => row.tableId)
}
