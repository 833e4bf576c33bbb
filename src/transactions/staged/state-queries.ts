import { sql } from 'kysely'
import type { Db, Tx } from '../../database/connect.ts'
import { isThere } from '../../state/read-queries.ts'

/** How much is staged for a namespace. */
export interface StagedNamespace {
  namespace: string
  numOperations: number
}

/** An operation that is staged for an entry, as JSON. */
export interface StagedOperation {
  namespace: string
  key: string
  operation: string
}

/** How much is staged for each namespace, in the order in which they were first named. */
export async function listStagedNamespaces(db: Db, id: string): Promise<StagedNamespace[]> {
  const { rows } = await sql<StagedNamespace>`
    select namespace, count(*) as "numOperations"
    from transaction_state where transaction_id = ${id}::uuid
    group by namespace order by min(place)`.execute(db)
  return rows
}

/** All that is staged for the state, in its order; it is no more than `insertStagedState` was allowed. */
export async function listStagedState(db: Db, id: string): Promise<StagedOperation[]> {
  const { rows } = await sql<StagedOperation>`
    select namespace, key, operation
    from transaction_state where transaction_id = ${id}::uuid order by place`.execute(db)
  return rows
}

/** Operations, and the bytes of their JSON. */
export interface StagedSize {
  operations: number
  bytes: number
}

/** How much is staged for entries other than those that these operations are staged for. */
export async function sizeOfOthers(
  tx: Tx,
  id: string,
  operations: readonly StagedOperation[],
): Promise<StagedSize> {
  const { rows } = await sql<StagedSize>`
    select count(*) as operations, coalesce(sum(octet_length(operation)), 0)::bigint as bytes
    from transaction_state s
    where transaction_id = ${id}::uuid and not exists (
      select from unnest(
        ${operations.map(({ namespace }) => namespace)}::text[],
        ${operations.map(({ key }) => key)}::text[]) as o (namespace, key)
      where o.namespace = s.namespace and o.key = s.key
    )`.execute(tx)
  return rows[0] ?? { operations: 0, bytes: 0 }
}

/** Stages operations for a locked transaction, each in place of what is staged for its entry. */
export async function insertStagedState(
  tx: Tx,
  id: string,
  operations: readonly StagedOperation[],
): Promise<void> {
  if (operations.length === 0) return
  await sql`
    insert into transaction_state (transaction_id, namespace, key, operation)
    select ${id}::uuid, o.namespace, o.key, o.operation
    from unnest(
      ${operations.map(({ namespace }) => namespace)}::text[],
      ${operations.map(({ key }) => key)}::text[],
      ${operations.map(({ operation }) => operation)}::text[])
      with ordinality as o (namespace, key, operation, place)
    order by o.place
    on conflict (transaction_id, namespace, key) do update set
      operation = excluded.operation, place = default`.execute(tx)
}

/** The versions of entries, 0 of one that is not there, in their order. */
export async function listVersions(
  db: Db,
  entries: readonly { namespace: string; key: string }[],
): Promise<{ version: number }[]> {
  const { rows } = await sql<{ version: number }>`
    select coalesce(e.version, 0)::bigint as version
    from unnest(
      ${entries.map(({ namespace }) => namespace)}::text[],
      ${entries.map(({ key }) => key)}::text[])
      with ordinality as a (namespace, key, place)
    left join state_namespaces n on n.namespace = a.namespace
    left join state_entries e on e.namespace_id = n.id and e.key = a.key and ${isThere}
    order by a.place`.execute(db)
  return rows
}

const rowsMax = 2000

/** Removes some of what was staged for the state by transactions; answers how many rows there were. */
export async function deleteStagedState(tx: Tx, ids: readonly string[]): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from transaction_state where (transaction_id, namespace, key) in (
      select transaction_id, namespace, key from transaction_state
      where transaction_id = any(${ids}::uuid[])
      limit ${rowsMax}
    )`.execute(tx)
  return Number(numAffectedRows)
}
