import { type RawBuilder, sql } from 'kysely'
import type { Db, Tx } from '../../database/connect.ts'
import type { Durability } from '../rows.ts'

/** What a namespace is set to; null where nothing is. */
export interface NamespaceSettings {
  retentionAgeMs: number | null
  retentionRevisions: number | null
  archives: boolean
  defaultTtlMs: number | null
  durability: Durability
  hasMetadataIndex: boolean
  requiresPrecondition: boolean
  readPreference: string | null
}

/** A namespace as lists tell of it. */
export interface NamespaceSummaryRow {
  namespace: string
  revision: number
  numEntries: number
  createdAt: string
}

/** A number of rows, up to `countedMax`; beyond that what PostgreSQL estimates. */
export interface RowCount {
  count: number
  isExact: boolean
}

export type IndexState = 'building' | 'ready' | 'failed'

/** A namespace with all that is told of it. */
export interface NamespaceRow extends NamespaceSummaryRow, NamespaceSettings {
  id: number
  historyFrom: number
  archiveFrom: number | null
  deletedKeys: RowCount
  writes: RowCount
  indexState: IndexState
}

/** Makes a namespace; answers nothing where there is one of this name. */
export async function insertNamespace(tx: Tx, namespace: string): Promise<boolean> {
  const { rows } = await sql`
    insert into state_namespaces (namespace) values (${namespace})
    on conflict (namespace) do nothing
    returning id`.execute(tx)
  return rows.length > 0
}

/** Sets a namespace that is there, all of it. */
export async function updateSettings(
  tx: Tx,
  namespace: string,
  settings: NamespaceSettings,
): Promise<void> {
  await sql`
    update state_namespaces
    set retention_age_ms = ${settings.retentionAgeMs},
      retention_revisions = ${settings.retentionRevisions},
      archives = ${settings.archives},
      default_ttl_ms = ${settings.defaultTtlMs},
      durability = ${settings.durability},
      has_metadata_index = ${settings.hasMetadataIndex},
      requires_precondition = ${settings.requiresPrecondition},
      read_preference = ${settings.readPreference}
    where namespace = ${namespace}`.execute(tx)
}

/** Where reads of a namespace go that say nothing themselves; undefined where it does not say, or is not there. */
export async function findReadPreference(db: Db, namespace: string): Promise<string | undefined> {
  const { rows } = await sql<{ preference: string | null }>`
    select read_preference as preference from state_namespaces
    where namespace = ${namespace}`.execute(db)
  return rows[0]?.preference ?? undefined
}

/** As far as rows are counted one by one. */
const countedMax = 100_000

interface FlatNamespace extends Omit<NamespaceRow, 'deletedKeys' | 'writes'> {
  keysCounted: number
  writesCounted: number
}

/** A namespace, with counts of its rows. */
export async function findNamespace(db: Db, namespace: string): Promise<NamespaceRow | undefined> {
  const { rows } = await sql<FlatNamespace>`
    select id, namespace, revision, num_entries as "numEntries", created_at as "createdAt",
      history_from as "historyFrom", archive_from as "archiveFrom",
      retention_age_ms as "retentionAgeMs", retention_revisions as "retentionRevisions",
      archives, default_ttl_ms as "defaultTtlMs", durability,
      has_metadata_index as "hasMetadataIndex", requires_precondition as "requiresPrecondition",
      read_preference as "readPreference",
      (select count(*) from (
        select from state_entries e where e.namespace_id = n.id limit ${countedMax + 1}
      ) as few) as "keysCounted",
      (select count(*) from (
        select from state_history h where h.namespace_id = n.id limit ${countedMax + 1}
      ) as few) as "writesCounted",
      ${indexState} as "indexState"
    from state_namespaces n where namespace = ${namespace}`.execute(db)
  const [found] = rows
  if (found === undefined) return undefined
  const { keysCounted, writesCounted, ...row } = found
  const [deletedKeys, writes] = await Promise.all([
    keysCounted <= countedMax
      ? { count: keysCounted - row.numEntries, isExact: true }
      : estimate(db, sql`state_entries where namespace_id = ${sql.lit(row.id)} and is_deleted`),
    writesCounted <= countedMax
      ? { count: writesCounted, isExact: true }
      : estimate(db, sql`state_history where namespace_id = ${sql.lit(row.id)}`),
  ])
  return { ...row, deletedKeys, writes }
}

/** The name of the index over the metadata of a namespace. */
export const metadataIndexName = (id = sql`n.id`) =>
  sql`'state_entries_metadata_' || ${id} || '_idx'`

/** How the index over the metadata of the namespace `n` stands. */
const indexState = sql<IndexState>`coalesce((
        select case
            when i.indisvalid then 'ready'
            when exists (select from pg_stat_progress_create_index p where p.index_relid = c.oid)
              then 'building'
            else 'failed' end
        from pg_class c join pg_index i on i.indexrelid = c.oid
        where c.relnamespace = current_schema()::regnamespace and c.relname = ${metadataIndexName()}
      ), 'building')`

/** How many rows PostgreSQL's planner expects, by what it has seen of the table last. */
async function estimate(db: Db, rowsOf: RawBuilder<unknown>): Promise<RowCount> {
  const { rows } = await sql<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] | string }>`
    explain (format json) select from ${rowsOf}`.execute(db)
  const [{ 'QUERY PLAN': told } = { 'QUERY PLAN': '[]' }] = rows
  const [plan] = typeof told === 'string' ? JSON.parse(told) : told
  return { count: plan?.Plan['Plan Rows'] ?? 0, isExact: false }
}

/** Namespaces by name, from behind `after`. */
export async function listNamespaces(
  db: Db,
  { after = '', limit }: { after: string | undefined; limit: number },
): Promise<NamespaceSummaryRow[]> {
  const { rows } = await sql<NamespaceSummaryRow>`
    select namespace, revision, num_entries as "numEntries", created_at as "createdAt"
    from state_namespaces where namespace > ${after} order by namespace limit ${limit}`.execute(db)
  return rows
}
