import { randomUUID } from 'node:crypto'
import type { Db, Pool, Tx } from '../../database/connect.ts'
import { invalidRequest } from '../../http/faults.ts'
import { applyOnce } from '../../idempotency/apply-once.ts'
import type { WriteOutcome } from '../../idempotency/rules.ts'
import { Problem } from '../../problems.ts'
import type { Asked } from '../../tables/create-table.ts'
import { getTable } from '../../tables/get-table.ts'
import { tableKey } from '../../tables/rules.ts'
import { type CreationAsked, type CreationContext, planCreation } from '../creation.ts'
import type { TableEntry } from '../entries.ts'
import { findViolations, invalidTransaction, type TransactionLimits } from '../rules.ts'
import { type Chunk, openChunk } from './chunk.ts'
import { countStaged } from './limits.ts'
import type { Received } from './receive-staged.ts'
import { stagedKind } from './rules.ts'
import {
  clearStaged,
  deleteEmpty,
  findCreation,
  findStagedTable,
  insertStaged,
  listStagedTables,
  type StagedTableRow,
  type TableOf,
} from './table-queries.ts'
import { getTransaction, lockActive } from './use-transaction.ts'

/** What tables are staged with. */
export interface StageContext extends TransactionLimits, CreationContext {
  db: Db
  /** For COPY of what is sent. */
  stagePool: Pool
  /** Actions on one table at most. */
  actionsMax: number
  /** Actions for new tables at most. */
  heldActionsMax: number
  idempotencyRetentionMs: number
}

/** A table of a transaction, as a request names them; `table` is an id or a name. */
export interface TableAsked {
  id: string
  table: string
}

/** A request to stage something: whether it replaces what is staged, how its body is read, and its answer. */
export interface StageRequest {
  isReplacement: boolean
  /** What is said of the table, where that is known before the body is read. */
  entry?: { entry: TableEntry; text: string } | undefined
  receive: (chunk: Chunk) => Promise<Received>
  /** The request can be told from others only when its body is read. */
  asked: () => Asked<StagedTableRow>
}

/** Stages what a request proposes to a table: all of it, or nothing when it is refused. */
export async function stageTable(
  context: StageContext,
  { id, table }: TableAsked,
  { isReplacement, entry, receive, asked }: StageRequest,
): Promise<WriteOutcome> {
  const { db } = context
  await getTransaction(db, id)
  const tableId = await findPlace(context, { id, table }, { isReplacement, entry })
  const of = { transactionId: id, tableId }
  const chunk = openChunk(context, of)
  let isStaged = false
  try {
    const received = await receive(chunk)
    const { idempotent, answer } = asked()
    return await applyOnce(db, {
      request: idempotent,
      retentionMs: context.idempotencyRetentionMs,
      answer,
      work: async (tx) => {
        await lockActive(tx, id)
        if (isReplacement) await clearStaged(tx, of)
        else await refuseDropped(tx, of)
        await refuseGrowth(tx, id, context)
        await insertStaged(tx, id, [{ tableId, ...received }])
        isStaged = true
        return getStagedTable(tx, of)
      },
    })
  } catch (error) {
    isStaged = false
    throw error
  } finally {
    if (!isStaged) await chunk.abandon()
  }
}

/** The id under which something is staged: that of a table, or of one that is to be made. */
async function findPlace(
  context: StageContext,
  { id, table }: TableAsked,
  { isReplacement, entry }: Pick<StageRequest, 'isReplacement' | 'entry'>,
): Promise<string> {
  const { db } = context
  const key = tableKey(table)
  const asked = entry?.entry
  const mayBeNew = asked?.kind === 'create' || !isReplacement
  const made = mayBeNew ? await findCreation(db, id, key) : undefined
  if (asked?.kind !== 'create') return made ?? (await getTable(db, key)).id
  const tableId = made ?? randomUUID()
  await refuseCreation(context, { ...asked, text: entry?.text ?? '{}', id: tableId })
  return tableId
}

/** Refuses a table that could not be made, as far as that can be told now. */
export async function refuseCreation(
  context: CreationContext,
  asked: CreationAsked,
): Promise<void> {
  const { define } = await planCreation(context, asked)
  define(0)
}

async function refuseDropped(tx: Tx, of: TableOf): Promise<void> {
  const staged = await findStagedTable(tx, of)
  const kind = stagedKind(staged?.fields ?? null)
  if (kind !== 'drop' && kind !== 'undrop') return
  const message = `are not taken, for ${kind} is staged for the table; stage something else in its place first`
  throw invalidRequest('body', [{ pointer: '', message }])
}

/** What is staged may go beyond a limit by one request, so that it can be told by how much; then it grows no more. */
async function refuseGrowth(tx: Tx, id: string, context: StageContext): Promise<void> {
  const counted = countStaged(await listStagedTables(tx, id), context)
  const violations = findViolations(counted, context).filter(
    ({ type }) => type !== 'EmptyActionList',
  )
  if (violations.length > 0) throw invalidTransaction(violations)
}

/** Forgets what is staged for a table. */
export async function unstageTable(
  { db, idempotencyRetentionMs }: StageContext,
  { id, table }: TableAsked,
  { idempotent, answer }: Asked<StagedTableRow>,
): Promise<WriteOutcome> {
  const key = tableKey(table)
  const tableId = (await findCreation(db, id, key)) ?? (await getTable(db, key)).id
  const of = { transactionId: id, tableId }
  return applyOnce(db, {
    request: idempotent,
    retentionMs: idempotencyRetentionMs,
    answer,
    work: async (tx) => {
      await lockActive(tx, id)
      const staged = await getStagedTable(tx, of)
      await clearStaged(tx, of)
      await deleteEmpty(tx, of)
      return { ...staged, fields: null, numActions: 0 }
    },
  })
}

async function getStagedTable(
  tx: Tx,
  of: { transactionId: string; tableId: string },
): Promise<StagedTableRow> {
  const found = await findStagedTable(tx, of)
  if (found !== undefined && found.fields !== null) return found
  throw new Problem(
    'table-not-staged',
    `Nothing is staged for the table ${of.tableId} in the transaction ${of.transactionId}.`,
    { facts: { tableId: of.tableId } },
  )
}
