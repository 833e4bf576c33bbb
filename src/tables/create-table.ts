import { randomUUID } from 'node:crypto'
import { appendCommit } from '../commits/append.ts'
import { newHead, noWrites, openTable } from '../commits/ledger.ts'
import { insertActions, insertCommits } from '../commits/queries.ts'
import type { TableDefinition } from '../commits/unit.ts'
import type { Db, Tx } from '../database/connect.ts'
import { applyOnce } from '../idempotency/apply-once.ts'
import type { Answer, IdempotentRequest, WriteOutcome } from '../idempotency/rules.ts'
import type { Problem } from '../problems.ts'
import type { Storage } from '../storage/storage.ts'
import { defineTable } from './define-table.ts'
import { getTable } from './get-table.ts'
import { insertNewTable } from './insert-new-table.ts'
import { defaultLocation, hasDeltaLog } from './location.ts'
import { findNameInAnyCase, findTableAround, lockCatalog, type TableRow } from './queries.ts'
import { foreignLog, isTableId, locationTaken, nameLikeId, nameTaken } from './rules.ts'
import type { CreateTable } from './schema.ts'

/** What every change to the catalogue of tables needs. */
export interface CatalogContext {
  db: Db
  dataDir: string
  storage: Storage
  idempotencyRetentionMs: number
  /** Told of tables that have a new version, once it is durable. */
  onCommitted: (tableIds: readonly string[]) => void
}

/** How a request is told from its repetition, and answered. */
export interface Asked<Result> {
  idempotent: IdempotentRequest | undefined
  answer: (result: Result | Problem) => Answer
}

/**
 * Creates a table at version 0. Refused when its name or its location is taken or its definition faulty.
 * `schemaJson` is the schema, token for token as it was sent.
 */
export async function createTable(
  context: CatalogContext,
  request: { body: CreateTable; schemaJson: string },
  { idempotent, answer }: Asked<TableRow>,
): Promise<WriteOutcome> {
  const { name, location } = request.body
  const created: string[] = []
  const outcome = await applyOnce(context.db, {
    request: idempotent,
    retentionMs: context.idempotencyRetentionMs,
    answer,
    work: async (tx) => {
      const id = randomUUID()
      const folder = await context.storage.resolve(location ?? defaultLocation(context.dataDir, id))
      // Asked before the catalogue is locked, for a store may be slow.
      const hasLog = await hasDeltaLog(context.storage, folder)
      const { now } = await lockCatalog(tx)
      const definition = defineTable(request.body, { id, schemaJson: request.schemaJson, now })
      await refuseTakenName(tx, name)
      await refuseTakenLocation(tx, folder)
      if (hasLog) throw foreignLog(folder)
      await insertVersionZero(tx, { id, name, folder, now, definition })
      created.push(id)
      return getTable(tx, id)
    },
  })
  context.onCommitted(created)
  return outcome
}

/** Names are unique without regard to case, because many engines fold it. */
export async function refuseTakenName(tx: Tx, name: string): Promise<void> {
  if (isTableId(name)) throw nameLikeId(name)
  const taken = await findNameInAnyCase(tx, name)
  if (taken === undefined) return
  throw nameTaken(taken)
}

/** A location belongs to one table, with all that lies below it. */
export async function refuseTakenLocation(tx: Tx, folder: string): Promise<void> {
  const around = await findTableAround(tx, folder)
  if (around === undefined) return
  throw locationTaken(folder, around)
}

interface NewTable {
  id: string
  name: string
  folder: string
  now: number
  definition: TableDefinition
}

/** Version 0 is entered like every other, on a head that stands before it. */
async function insertVersionZero(tx: Tx, table: NewTable): Promise<void> {
  const { id, name, folder, now, definition } = table
  const { protocol, metadata, info } = definition
  const opened = openTable(newHead({ id, name }, definition))
  const writes = noWrites()
  const proposal = {
    operation: 'CREATE TABLE',
    info,
    actions: [protocol, metadata],
  }
  appendCommit(writes, opened, { proposal, inCommitTimestamp: now })
  await Promise.all(insertNewTable(tx, { head: opened.head, location: folder }))
  await insertCommits(tx, writes.commits)
  await insertActions(tx, writes.actions)
}
