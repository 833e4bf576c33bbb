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

/**
 * The next lines of a log, exactly as they stand in its files, at most `limit`. Each branch reads no more than
 * that, in the order of its index: commits_pkey, actions_pkey, files_pkey, files_removed_idx.
 */
export async function listLogLines(db: Db, range: LogRange, limit: number): Promise<LogLine[]> {
  const { tableId, after, to } = range
  const from = sql`${after.version}, ${after.position}`
  const { rows } = await sql<LogLine>`
    (select version, 0 as position, commit_info as line from commits
      where table_id = ${tableId}::uuid and version > ${after.version} and version <= ${to}
      order by version limit ${limit})
    union all
    (select version, position, action from actions
      where table_id = ${tableId}::uuid and (version, position) > (${from}) and version <= ${to}
      order by version, position limit ${limit})
    union all
    (select added_version, added_position, add from files
      where table_id = ${tableId}::uuid and (added_version, added_position) > (${from})
        and added_version <= ${to} and add is not null
      order by added_version, added_position limit ${limit})
    union all
    (select removed_version, removed_position, remove from files
      where table_id = ${tableId}::uuid and (removed_version, removed_position) > (${from})
        and removed_version <= ${to} and remove is not null
      order by removed_version, removed_position limit ${limit})
    order by version, position
    limit ${limit}`.execute(db)
  return rows
}
