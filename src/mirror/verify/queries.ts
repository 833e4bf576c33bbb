import { sql } from 'kysely'
import type { Tx } from '../../database/connect.ts'
import { stageTable } from '../../tables/import/queries.ts'

/** An action that a checkpoint and the database do not have alike. */
export interface CheckpointDifference {
  key: string
  kind: string
  ours: string | null
  theirs: string | null
}

/** An action without what a checkpoint says in other words, or need not say. */
const comparable = (action: string, kind: string) => {
  const body = sql`(${sql.ref(action)}->${sql.lit(kind)})::jsonb`
  const told = sql`jsonb_strip_nulls(${body} - 'stats' - 'dataChange')`
  return sql`case when ${told}->'tags' = '{}' then ${told} - 'tags' else ${told} end`
}

/**
 * The first `limit` files that a checkpoint, which is staged, and the table at its version do not have alike. Statistics
 * count by their numbers of records, where both sides tell them.
 */
export async function listFileDifferences(
  tx: Tx,
  { tableId, version }: { tableId: string; version: number },
  limit: number,
): Promise<CheckpointDifference[]> {
  const { rows } = await sql<CheckpointDifference>`
    select coalesce(o.path, t.key) as key, 'add' as kind, o.add::text as ours, t.line::text as theirs
    from (
      select path, deletion_vector_id, num_records, add from files
      where table_id = ${tableId}::uuid and add is not null and added_version <= ${version}
        and (removed_version is null or removed_version > ${version})
    ) o
    full join (select * from ${sql.table(stageTable)} where kind = 'add') t
      on t.key = o.path and coalesce(t.vector_id, '') = coalesce(o.deletion_vector_id, '')
    where o.path is null or t.key is null or o.num_records <> t.num_records
      or ${comparable('o.add', 'add')} <> ${comparable('t.line', 'add')}
    limit ${limit}`.execute(tx)
  return rows
}

/**
 * As `listFileDifferences`, of the protocol, the metadata, domains and app transactions; a checkpoint may leave out old
 * ones of those where the table `forgetsTransactions`.
 */
export async function listActionDifferences(
  tx: Tx,
  of: { tableId: string; version: number; forgetsTransactions: boolean },
  limit: number,
): Promise<CheckpointDifference[]> {
  const { tableId, version, forgetsTransactions } = of
  const { rows } = await sql<CheckpointDifference>`
    select coalesce(o.key, t.key) as key, coalesce(o.kind, t.kind) as kind, o.action::text as ours,
      t.line::text as theirs
    from (
      select kind, key, action from actions
      where table_id = ${tableId}::uuid and key is not null and version <= ${version}
        and (superseded_version is null or superseded_version > ${version})
        and not (kind = 'domainMetadata' and action::text ~ '"removed"\\s*:\\s*true')
    ) o
    full join (
      select * from ${sql.table(stageTable)}
      where kind in ('protocol', 'metaData', 'txn', 'domainMetadata')
    ) t on t.kind = o.kind and t.key = o.key
    where o.key is null or (t.key is null and not (o.kind = 'txn' and ${forgetsTransactions}))
      or jsonb_strip_nulls(o.action::jsonb) <> jsonb_strip_nulls(t.line::jsonb)
    order by 2, 1
    limit ${limit}`.execute(tx)
  return rows
}
