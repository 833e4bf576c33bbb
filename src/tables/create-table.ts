import { randomUUID } from 'node:crypto'
import { insertCheckpoints } from '../checkpoints/queries.ts'
import { appendCommit } from '../commits/append.ts'
import { noWrites, openTable } from '../commits/ledger.ts'
import { insertActions, insertCommits } from '../commits/queries.ts'
import type { Head } from '../commits/rows.ts'
import type { Db, Tx } from '../database/connect.ts'
import type { Metadata } from '../delta/actions.ts'
import { engineInfo } from '../delta/commit-info.ts'
import { applyOnce } from '../idempotency/apply-once.ts'
import type { Answer, IdempotentRequest, WriteOutcome } from '../idempotency/rules.ts'
import { insertMirror } from '../mirror/queries.ts'
import { Problem } from '../problems.ts'
import type { Storage } from '../storage/storage.ts'
import { defineTable } from './define-table.ts'
import { getTable } from './get-table.ts'
import { defaultLocation, hasDeltaLog } from './location.ts'
import {
  findNameInAnyCase,
  findTableAround,
  insertTable,
  lockCatalog,
  type TableRow,
} from './queries.ts'
import { isTableId } from './rules.ts'
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
  if (isTableId(name)) {
    throw new Problem('invalid-table', `The name ${name} looks like an id. Choose another.`, {
      facts: { errors: [{ pointer: '/name', message: 'must not look like a UUID' }] },
    })
  }
  const taken = await findNameInAnyCase(tx, name)
  if (taken === undefined) return
  throw new Problem('table-name-taken', `There is a table ${taken} already.`, {
    facts: { name: taken },
  })
}

/** A location belongs to one table, with all that lies below it. */
export async function refuseTakenLocation(tx: Tx, folder: string): Promise<void> {
  const around = await findTableAround(tx, folder)
  if (around === undefined) return
  throw new Problem(
    'location-taken',
    `The location ${folder} collides with that of the table ${around.name}, ${around.location}.`,
    { facts: { name: around.name, location: around.location } },
  )
}

function foreignLog(folder: string): Problem {
  return new Problem(
    'location-taken',
    `The location ${folder} holds a Delta log that this service did not write. To take that table over, import it.`,
    { facts: { location: folder } },
  )
}

interface NewTable {
  id: string
  name: string
  folder: string
  now: number
  definition: ReturnType<typeof defineTable>
}

/** Version 0 is entered like every other, on a head that stands before it. */
async function insertVersionZero(tx: Tx, table: NewTable): Promise<void> {
  const { id, name, folder, now, definition } = table
  const { protocol, metadata } = definition
  const head: Head = {
    id,
    name,
    version: -1,
    inCommitTimestamp: 0,
    protocol: protocol.body,
    protocolJson: protocol.json,
    metadata: metadata.body,
    metadataJson: metadata.json,
    rowIdHighWaterMark: null,
    historyFrom: 0,
    commitsFrom: 0,
    numFiles: 0,
    sizeInBytes: 0,
    numRecords: 0,
    numFilesWithoutRecords: 0,
    droppedAt: null,
  }
  const opened = openTable(head)
  const writes = noWrites()
  const proposal = {
    operation: 'CREATE TABLE',
    info: creationInfo(metadata.body),
    actions: [protocol, metadata],
  }
  appendCommit(writes, opened, { proposal, inCommitTimestamp: now })
  await insertTable(tx, opened.head, folder)
  await insertCommits(tx, writes.commits)
  await insertActions(tx, writes.actions)
  await insertMirror(tx, id)
  await insertCheckpoints(tx, { tableId: id, publishedVersion: -1 })
}

function creationInfo(metadata: Metadata): Map<string, string> {
  const operationParameters = {
    partitionBy: JSON.stringify(metadata.partitionColumns),
    properties: JSON.stringify(metadata.configuration),
    description: metadata.description ?? null,
  }
  return new Map([
    ['operationParameters', JSON.stringify(operationParameters)],
    ['engineInfo', JSON.stringify(engineInfo)],
  ])
}
