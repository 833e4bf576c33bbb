import { sql } from 'kysely'
import type { Tx } from '../../database/connect.ts'
import { lives, replacing, stageTable, type TakenHistory } from './queries.ts'

/**
 * Stages the files that are live in a table and that the staged history names, as what came before it. The head of the
 * table must be locked.
 */
export async function stageLiveFiles(tx: Tx, { tableId }: TakenHistory): Promise<void> {
  await sql`analyze ${sql.table(stageTable)}`.execute(tx)
  await sql`
    insert into ${sql.table(stageTable)}
      (version, position, kind, key, vector_id, size, num_records, line)
    select f.added_version, f.added_position, 'add', f.path, f.deletion_vector_id, f.size,
      f.num_records, f.add
    from (
      select distinct key from ${sql.table(stageTable)} where kind in ('add', 'remove')
    ) named
    join files f on f.table_id = ${tableId}::uuid and f.removed_version is null
      and f.path = named.key`.execute(tx)
}

/** Ends the lives of those files that the history removes or replaces. Must come before it brings its own. */
export async function endLiveFiles(tx: Tx, { tableId, from }: TakenHistory): Promise<void> {
  await sql`
    update files f set removed_version = l.end_version,
      removed_position = case l.end_kind when 'remove' then l.end_position end,
      remove = case l.end_kind when 'remove' then ended.line end
    from ${sql.table(lives)} l
    left join ${sql.table(stageTable)} ended on ended.ctid = l.end_place
    where f.table_id = ${tableId}::uuid and l.kind = 'add' and l.version < ${from}
      and l.end_version is not null
      and f.added_version = l.version and f.added_position = l.position`.execute(tx)
}

/** Ends the force of actions that the history replaces. Must come before it brings its own. */
export async function endActions(tx: Tx, { tableId }: TakenHistory): Promise<void> {
  await sql`
    update actions a set superseded_version = s.version
    from (
      select kind, key, min(version) as version
      from ${sql.table(stageTable)} where kind in ${replacing}
      group by kind, key
    ) s
    where a.table_id = ${tableId}::uuid and a.kind = s.kind and a.key = s.key
      and a.key is not null and a.superseded_version is null`.execute(tx)
}
