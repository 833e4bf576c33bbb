import { sql } from 'kysely'
import type { DeclaredReads } from '../../commits/reads.ts'
import type { Db, Tx } from '../../database/connect.ts'

/** A table of a transaction: what is proposed to it, and what was read of it. */
export interface StagedTableRow {
  tableId: string
  /** What is proposed besides actions, as JSON; null where the table was only read. */
  fields: string | null
  numActions: number
  readVersion: number | null
  /** As JSON. */
  reads: string | null
}

const stagedColumns = sql`
      table_id as "tableId", fields, num_actions as "numActions", read_version as "readVersion",
      reads`

/** The tables of a transaction, in the order in which they were first named. */
export async function listStagedTables(db: Db, id: string): Promise<StagedTableRow[]> {
  const { rows } = await sql<StagedTableRow>`
    select ${stagedColumns} from transaction_tables where transaction_id = ${id}::uuid
    order by place`.execute(db)
  return rows
}

/** A table of a transaction, if it has it. */
export async function findStagedTable(db: Db, of: TableOf): Promise<StagedTableRow | undefined> {
  const { rows } = await sql<StagedTableRow>`
    select ${stagedColumns} from transaction_tables where ${isOf(of)}`.execute(db)
  return rows[0]
}

/** The id of a table that a transaction is to make, known by its name or its id. */
export async function findCreation(
  db: Db,
  transactionId: string,
  table: string,
): Promise<string | undefined> {
  const { rows } = await sql<{ tableId: string }>`
    select table_id as "tableId" from transaction_tables
    where transaction_id = ${transactionId}::uuid and fields -> 'create' is not null
      and ${table} in (table_id::text, fields #>> '{create,name}')
    order by place limit 1`.execute(db)
  return rows[0]?.tableId
}

/** What a request stages for a table. */
export interface StagedChange {
  tableId: string
  /** As JSON; absent where actions are added to what is proposed already. */
  fields: string | undefined
  chunk: FinishedChunk
}

/** The actions of one request, of which the first lines may have been sent before. */
export interface FinishedChunk {
  id: string
  numActions: number
  /** Where none of it was sent before, all of its lines; else none. */
  blocks: readonly Block[]
}

/** Some lines of a chunk. */
export interface Block {
  position: number
  lines: string
}

/** Stages changes behind what is staged already for the tables of a locked transaction. */
export async function insertStaged(
  tx: Tx,
  transactionId: string,
  changes: readonly StagedChange[],
): Promise<void> {
  const { rows } = await sql<{ tableId: string; numActions: number }>`
    insert into transaction_tables (transaction_id, table_id, fields, num_actions)
    select ${transactionId}::uuid, c.table_id, coalesce(c.fields, '{}'::json), c.num_actions
    from unnest(
      ${changes.map(({ tableId }) => tableId)}::uuid[],
      ${changes.map(({ fields }) => fields ?? null)}::json[],
      ${changes.map(({ chunk }) => chunk.numActions)}::bigint[])
      with ordinality as c (table_id, fields, num_actions, place)
    order by c.place
    on conflict (transaction_id, table_id) do update set
      fields = coalesce(transaction_tables.fields, excluded.fields),
      num_actions = transaction_tables.num_actions + excluded.num_actions
    returning table_id as "tableId", num_actions as "numActions"`.execute(tx)
  const after = new Map(rows.map(({ tableId, numActions }) => [tableId, numActions]))
  const chunks = changes
    .filter(({ chunk }) => chunk.numActions > 0)
    .map(({ tableId, chunk }) => {
      const firstIndex = (after.get(tableId) ?? 0) - chunk.numActions
      return { ...chunk, transactionId, tableId, firstIndex }
    })
  await insertChunks(tx, chunks)
  await insertLines(tx, chunks)
}

/** A chunk of a table; `firstIndex` is null while it is received. */
export interface ChunkRow {
  id: string
  transactionId: string
  tableId: string
  firstIndex: number | null
  numActions: number
}

/** Notes chunks, of which some may have been noted when the first of their lines were sent. */
export async function insertChunks(db: Db, chunks: readonly ChunkRow[]): Promise<void> {
  if (chunks.length === 0) return
  await sql`
    insert into transaction_chunks (id, transaction_id, table_id, first_index, num_actions)
    select * from unnest(
      ${chunks.map(({ id }) => id)}::uuid[],
      ${chunks.map(({ transactionId }) => transactionId)}::uuid[],
      ${chunks.map(({ tableId }) => tableId)}::uuid[],
      ${chunks.map(({ firstIndex }) => firstIndex)}::bigint[],
      ${chunks.map(({ numActions }) => numActions)}::bigint[])
    on conflict (id) do update set
      first_index = excluded.first_index, num_actions = excluded.num_actions`.execute(db)
}

async function insertLines(tx: Tx, chunks: readonly FinishedChunk[]): Promise<void> {
  const rows = chunks.flatMap(({ id, blocks }) => blocks.map((block) => ({ id, ...block })))
  if (rows.length === 0) return
  await sql`
    insert into transaction_lines (chunk_id, position, lines)
    select * from unnest(
      ${rows.map(({ id }) => id)}::uuid[],
      ${rows.map(({ position }) => position)}::integer[],
      ${rows.map(({ lines }) => lines)}::text[])`.execute(tx)
}

/** A table of a transaction. */
export interface TableOf {
  transactionId: string
  tableId: string
}

/** Forgets what is proposed to a table of a locked transaction. Answers whether there was any. */
export async function clearStaged(tx: Tx, of: TableOf): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update transaction_tables set fields = null, num_actions = 0
    where ${isOf(of)} and fields is not null`.execute(tx)
  await sql`
    with gone as (
      delete from transaction_chunks where ${isOf(of)} and first_index is not null returning id
    )
    delete from transaction_lines using gone where chunk_id = gone.id`.execute(tx)
  return numAffectedRows === 1n
}

const isOf = ({ transactionId, tableId }: TableOf) =>
  sql`transaction_id = ${transactionId}::uuid and table_id = ${tableId}::uuid`

/** Notes what was read of a table of a locked transaction, in place of what was noted before. */
export async function updateReads(
  tx: Tx,
  { transactionId, tableId }: TableOf,
  { readVersion, reads }: { readVersion: number; reads: DeclaredReads },
): Promise<void> {
  await sql`
    insert into transaction_tables (transaction_id, table_id, read_version, reads)
    values (${transactionId}::uuid, ${tableId}::uuid, ${readVersion}, ${JSON.stringify(reads)}::json)
    on conflict (transaction_id, table_id) do update set
      read_version = excluded.read_version, reads = excluded.reads`.execute(tx)
}

/** Forgets a table of which nothing is proposed or read. */
export async function deleteEmpty(tx: Tx, of: TableOf): Promise<void> {
  await sql`
    delete from transaction_tables where ${isOf(of)} and fields is null and reads is null`.execute(
    tx,
  )
}

/** Forgets a chunk that was not received whole. */
export async function deleteChunk(db: Db, id: string): Promise<void> {
  await sql`
    with gone as (
      delete from transaction_chunks where id = ${id}::uuid and first_index is null returning id
    )
    delete from transaction_lines using gone where chunk_id = gone.id`.execute(db)
}

/** The place of a block among those of a table. */
export interface BlockPlace {
  firstIndex: number
  position: number
}

/** Lines that are staged for a table, in order, from behind `after`. */
export async function listBlocks(
  db: Db,
  of: TableOf,
  { after, limit }: { after: BlockPlace; limit: number },
): Promise<(BlockPlace & { lines: string })[]> {
  const { rows } = await sql<BlockPlace & { lines: string }>`
    select c.first_index as "firstIndex", l.position, l.lines
    from transaction_chunks c
    join transaction_lines l on l.chunk_id = c.id
    where c.transaction_id = ${of.transactionId}::uuid and c.table_id = ${of.tableId}::uuid
      and c.first_index >= ${after.firstIndex}
      and (c.first_index, l.position) > (${after.firstIndex}, ${after.position})
    order by c.first_index, l.position
    limit ${limit}`.execute(db)
  return rows
}
