import { sql } from 'kysely'
import type { Tx } from '../../database/connect.ts'
import type { Long } from '../../delta/actions.ts'
import { rowIdsIn } from '../row-id-text.ts'
import { liveFile, type StageOf } from './live-file.ts'
import { violationsMax } from './rules.ts'

/** The row ids of live files. */
const liveIds = rowIdsIn(sql`f.add`)

/**
 * Notes in the stage which row ids those of its adds have whose files are live, and counts anew the ids before each
 * add. Answers how many are to be assigned.
 */
export async function keepRowIds(tx: Tx, of: StageOf): Promise<Long> {
  const stage = sql.table(of.stage)
  const { rows } = await sql<{ numAssigned: Long }>`
    with known as materialized (
      select s.ctid as place, s.position, s.num_row_ids,
        coalesce(ids.base_row_id, s.base_row_id) as base_row_id,
        coalesce(ids.row_version, s.row_version) as row_version
      from ${stage} s left join ${liveFile(of)} cross join ${liveIds}
      where s.kind = 'add'
    ), counted as (
      select place, base_row_id, row_version, coalesce(
        sum(num_row_ids) filter (where base_row_id is null) over (
          order by position rows between unbounded preceding and 1 preceding), 0) as before
      from known
    ), kept as (
      update ${stage} s set base_row_id = c.base_row_id, row_version = c.row_version,
        num_row_ids_before = c.before
      from counted c where s.ctid = c.place
    )
    select coalesce(sum(num_row_ids), 0)::bigint as "numAssigned" from known
    where base_row_id is null`.execute(tx)
  return rows[0]?.numAssigned ?? 0
}

/** How many live files that lack row ids the stage adds anew or removes. */
export async function countStagedWithoutRowIds(tx: Tx, of: StageOf): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(distinct f.place) as count from ${sql.table(of.stage)} s
    join ${liveFile(of)} cross join ${liveIds}
    where (s.kind = 'add' or f.deletion_vector_id is not distinct from s.deletion_vector_id)
      and (ids.base_row_id is null or ids.row_version is null)`.execute(tx)
  return rows[0]?.count ?? 0
}

/** Paths of removes that tell other row ids than their live files have. */
export function contradictedPaths(of: StageOf) {
  return sql`
    select s.path from ${sql.table(of.stage)} s join ${liveFile(of)} cross join ${liveIds}
    where s.kind = 'remove' and f.deletion_vector_id is not distinct from s.deletion_vector_id
      and (s.base_row_id_at = 0 or s.row_version_at = 0)
      and (s.base_row_id <> ids.base_row_id or s.row_version <> ids.row_version)`
}

/** A staged add whose row ids begin within those of another. */
export interface SharedRow {
  position: number
  line: string
  positionBefore: number
  lineBefore: string
  /** Of all such adds. */
  count: number
}

/** The first adds by position whose row ids, as they tell them, begin within those of the file before. */
export async function listSharedRows(tx: Tx, { stage }: StageOf): Promise<SharedRow[]> {
  const { rows } = await sql<SharedRow>`
    with ranges as (
      select position, base_row_id, lag(position) over w as before,
        lag(base_row_id::numeric + num_row_ids) over w as "endBefore"
      from ${sql.table(stage)}
      where kind = 'add' and base_row_id_at = 0 and num_row_ids > 0 and base_row_id is not null
      window w as (order by base_row_id, position)
    ), shared as materialized (
      select position, before, count(*) over () as count from ranges
      where "endBefore" > base_row_id order by position limit ${violationsMax}
    )
    select s.position, s.line, b.position as "positionBefore", b.line as "lineBefore", count
    from shared
    join ${sql.table(stage)} s on s.position = shared.position
    join ${sql.table(stage)} b on b.position = shared.before
    order by s.position`.execute(tx)
  return rows
}
