import { randomUUID } from 'node:crypto'
import type { Tx } from '../../database/connect.ts'
import { elementSources, memberSources } from '../../delta/json.ts'
import { invalidRequest } from '../../http/faults.ts'
import { applyOnce } from '../../idempotency/apply-once.ts'
import type { WriteOutcome } from '../../idempotency/rules.ts'
import { Problem } from '../../problems.ts'
import type { Asked } from '../../tables/create-table.ts'
import { tableNotFound } from '../../tables/get-table.ts'
import { findTableIds } from '../../tables/queries.ts'
import { tableKey } from '../../tables/rules.ts'
import { termsOf } from '../commit-transaction.ts'
import { readEntries, type TableEntry } from '../entries.ts'
import { repeatedTable } from '../judge.ts'
import { readState } from '../receive-state.ts'
import { inTable } from '../rules.ts'
import type { CreateTransaction } from '../schema.ts'
import { type ShownTransaction, stagedTablesText } from '../transaction-json.ts'
import { type Chunk, openChunk } from './chunk.ts'
import { countUnderWay, insertActive } from './queries.ts'
import { receiveEntry } from './receive-staged.ts'
import { insertReceived, type StageStateLimits } from './stage-state.ts'
import { refuseCreation, type StageContext } from './stage-table.ts'
import { listStagedNamespaces } from './state-queries.ts'
import { insertStaged, listStagedTables, type StagedChange } from './table-queries.ts'

/** What transactions are begun with. */
export interface BeginContext extends StageContext, StageStateLimits {
  /** For how long a transaction may stay active at most, and does if it says nothing else. */
  transactionExpiresMsMax: number
  /** Transactions under way at most. */
  transactionsActiveMax: number
}

/** Begins a transaction, with what the request names staged. `text` is the body as it was sent. */
export async function beginTransaction(
  context: BeginContext,
  { body, text }: { body: CreateTransaction; text: string },
  { idempotent, answer }: Asked<ShownTransaction>,
): Promise<WriteOutcome> {
  const { db, idempotencyRetentionMs: retentionMs } = context
  const expiresInMs = readExpiry(body, context)
  const terms = { ...termsOf(body), expiresInMs, fences: body.fences }
  const entries = readEntries(body.tables ?? [], { isWhole: false })
  const sources = memberSources(text)
  const received = readState(body.state ?? [], sources.get('state') ?? '[]', context)
  const texts = elementSources(sources.get('tables') ?? '[]')
  const { changes, chunks } = await receiveEntries(context, terms.id, { entries, texts })
  let isBegun = false
  try {
    return await applyOnce(db, {
      request: idempotent,
      retentionMs,
      answer,
      work: async (tx) => {
        await refuseTooMany(tx, context)
        await insertReceived(tx, { id: terms.id, received }, context)
        const row = await insertActive(tx, terms)
        if (changes.length > 0) await insertStaged(tx, terms.id, changes)
        isBegun = true
        const tables = stagedTablesText(await listStagedTables(tx, terms.id))
        return { ...row, tables, stagedState: await listStagedNamespaces(tx, terms.id) }
      },
    })
  } catch (error) {
    isBegun = false
    throw error
  } finally {
    if (!isBegun) await abandonAll(chunks)
  }
}

/** Of requests at once some may go beyond, as many as there are connections. */
async function refuseTooMany(tx: Tx, { transactionsActiveMax: max }: BeginContext): Promise<void> {
  const count = await countUnderWay(tx, max)
  if (count < max) return
  throw new Problem(
    'overloaded',
    `${count} transactions are under way, and ${max} may be. Commit some or roll them back; \`GET /transactions?state=active\` lists them.`,
    { headers: { 'retry-after': '10' } },
  )
}

function readExpiry(
  { expiresInMs }: CreateTransaction,
  { transactionExpiresMsMax }: BeginContext,
): number {
  if (expiresInMs === undefined || expiresInMs <= transactionExpiresMsMax) {
    return expiresInMs ?? transactionExpiresMsMax
  }
  const message = `must be at most ${transactionExpiresMsMax}`
  throw invalidRequest('body', [{ pointer: '/expiresInMs', message }])
}

interface ReceivedEntries {
  changes: StagedChange[]
  chunks: Chunk[]
  /** Names of the tables that are to be made. */
  made: Set<string>
}

async function receiveEntries(
  context: BeginContext,
  transactionId: string,
  { entries, texts }: { entries: readonly TableEntry[]; texts: readonly string[] },
): Promise<ReceivedEntries> {
  const received: ReceivedEntries = { changes: [], chunks: [], made: new Set() }
  const ids = await findTableIds(
    context.db,
    entries.map(({ table }) => tableKey(table)),
  )
  try {
    for (const [index, entry] of entries.entries()) {
      const tableId = ids.get(tableKey(entry.table))
      const asked = { transactionId, tableId, entry, text: texts[index] ?? '{}' }
      await stageEntry(context, asked, received).catch((error) => {
        throw error instanceof Problem ? inTable(error, { table: entry.table, index }) : error
      })
    }
    return received
  } catch (error) {
    await abandonAll(received.chunks)
    throw error
  }
}

/** An entry of a request; without `tableId` it names no table that there is. */
interface EntryAsked {
  transactionId: string
  tableId: string | undefined
  entry: TableEntry
  text: string
}

async function stageEntry(
  context: BeginContext,
  { transactionId, tableId, entry, text }: EntryAsked,
  { changes, chunks, made }: ReceivedEntries,
): Promise<void> {
  const id = entry.kind === 'create' ? randomUUID() : tableId
  if (id === undefined) throw await tableNotFound(context.db, tableKey(entry.table))
  if (entry.kind === 'create') {
    if (made.has(entry.table)) throw repeatedTable()
    made.add(entry.table)
    await refuseCreation(context, { create: entry.create, text, id })
  }
  if (changes.some((other) => other.tableId === id)) throw repeatedTable()
  const chunk = openChunk(context, { transactionId, tableId: id })
  chunks.push(chunk)
  changes.push({ tableId: id, ...(await receiveEntry(entry, text, chunk)) })
}

async function abandonAll(chunks: readonly Chunk[]): Promise<void> {
  await Promise.all(chunks.map((chunk) => chunk.abandon()))
}
