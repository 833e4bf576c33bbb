import { sql } from 'kysely'
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
  const { rows } = await sql<LogLine & { tableId: string }>`
    select r.table_id as "tableId", l.version, l.position, l.line
    from unnest(
      ${ranges.map(({ tableId }) => tableId)}::uuid[],
      ${ranges.map(({ after }) => after.version)}::bigint[],
      ${ranges.map(({ after }) => after.position)}::integer[],
      ${ranges.map(({ to }) => to)}::bigint[]) as r (table_id, version, position, last)
    cross join lateral (
      (select c.version, 0 as position, commit_info as line from commits c
        where c.table_id = r.table_id and c.version > r.version and c.version <= r.last
        order by c.version limit ${limit})
      union all
      (select a.version, a.position, action from actions a
        where a.table_id = r.table_id and (a.version, a.position) > (r.version, r.position)
          and a.version <= r.last
        order by a.version, a.position limit ${limit})
      union all
      (select added_version, added_position, add from files f
        where f.table_id = r.table_id and (added_version, added_position) > (r.version, r.position)
          and added_version <= r.last and add is not null
        order by added_version, added_position limit ${limit})
      union all
      (select removed_version, removed_position, remove from files f
        where f.table_id = r.table_id
          and (removed_version, removed_position) > (r.version, r.position)
          and removed_version <= r.last and remove is not null
        order by removed_version, removed_position limit ${limit})
      order by version, position
      limit ${limit}
    ) l
    order by l.version, l.position`.execute(db)
  return Map.groupBy(rows, (row) => row.tableId)
}
