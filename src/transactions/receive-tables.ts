import { randomUUID } from 'node:crypto'
import { receiveJson } from '../commits/receive.ts'
import { type Intake, openIntake } from '../commits/staged/intake.ts'
import { createStage } from '../commits/staged/stage.ts'
import type { CatalogChange, Part, TableCreation } from '../commits/unit.ts'
import type { Db, Pool } from '../database/connect.ts'
import type { Action } from '../delta/actions.ts'
import { type Fault, faultsBelow } from '../delta/faults.ts'
import { compactJson, memberSources } from '../delta/json.ts'
import { Problem } from '../problems.ts'
import type { Storage } from '../storage/storage.ts'
import { defineTable } from '../tables/define-table.ts'
import { getTable } from '../tables/get-table.ts'
import { defaultLocation, hasDeltaLog } from '../tables/location.ts'
import { headOf } from '../tables/queries.ts'
import { isTableId, nameLikeId, tableKey } from '../tables/rules.ts'
import type { TableEntry } from './entries.ts'
import { inTable } from './rules.ts'

/** What the tables of a request are received with. */
export interface ReceiveContext {
  db: Db
  /** For COPY of what is sent. */
  stagePool: Pool
  storage: Storage
  dataDir: string
  /** Actions on one table at most. */
  actionsMax: number
  /** Actions of one transaction that are held in memory. */
  heldActionsMax: number
}

/** The tables of a request, as the committer takes them. */
export interface ReceivedTables {
  parts: Part[]
  changes: CatalogChange[]
}

/**
 * Makes a proposal or a change of each entry, of which `texts` are the JSON. The files of those for which memory has no
 * room are staged. A refusal names the table.
 */
export async function receiveTables(
  entries: readonly TableEntry[],
  texts: readonly string[],
  context: ReceiveContext,
): Promise<ReceivedTables> {
  const received: ReceivedTables = { parts: [], changes: [] }
  const intakes: Intake[] = []
  let room = context.heldActionsMax
  try {
    for (const [index, entry] of entries.entries()) {
      const place = { place: index, text: texts[index] ?? '{}' }
      const held = await receiveTable(entry, place, { ...context, room, received, intakes }).catch(
        (error) => {
          throw error instanceof Problem ? inTable(error, { table: entry.table, index }) : error
        },
      )
      room -= held
    }
    return received
  } catch (error) {
    await Promise.all(intakes.map((intake) => intake.abandon()))
    throw error
  }
}

/** A request under way: how many more actions memory has room for, and what was received so far. */
interface Receiving extends ReceiveContext {
  room: number
  received: ReceivedTables
  intakes: Intake[]
}

/** Answers how many actions of the table are held in memory. */
async function receiveTable(
  entry: TableEntry,
  { place, text }: { place: number; text: string },
  { room, received, intakes, ...context }: Receiving,
): Promise<number> {
  if (!('proposed' in entry)) {
    received.changes.push({ kind: entry.kind, place, table: tableKey(entry.table) })
    return 0
  }
  if (entry.kind === 'create') {
    const creation = await receiveCreation(entry, { place, text }, context)
    received.changes.push(creation)
    return creation.proposal.actions.length
  }
  const { db, stagePool, actionsMax } = context
  const table = tableKey(entry.table)
  const intake = openIntake({
    actionsMax,
    heldActionsMax: Math.max(0, room),
    readHead: async () => headOf(await getTable(db, table)),
    createStage: () => createStage({ db, stagePool }),
  })
  intakes.push(intake)
  const proposal = await receiveJson(entry.proposed, text, intake)
  received.parts.push({ table, proposal, place })
  return proposal.staged === undefined ? proposal.actions.length : 0
}

async function receiveCreation(
  { create, proposed }: Extract<TableEntry, { kind: 'create' }>,
  { place, text }: { place: number; text: string },
  { storage, dataDir }: ReceiveContext,
): Promise<TableCreation> {
  const id = randomUUID()
  const location = await storage.resolve(create.location ?? defaultLocation(dataDir, id))
  // Asked before the catalogue is locked, for a store may be slow.
  const hasLog = await hasDeltaLog(storage, location)
  const { actions } = proposed
  const { operation = actions.length === 0 ? 'CREATE TABLE' : 'CREATE TABLE AS SELECT' } = proposed
  const schema = memberSources(memberSources(text).get('create') ?? '{}').get('schema') ?? '{}'
  const schemaJson = compactJson(schema)
  return {
    kind: 'create',
    place,
    table: create.name,
    id,
    location,
    hasLog,
    define: (now) =>
      below('/create', () => {
        if (isTableId(create.name)) throw nameLikeId(create.name)
        return defineTable(create, { id, schemaJson, now })
      }),
    proposal: await receiveJson({ ...proposed, operation }, text, holdAll()),
  }
}

/** Tells faults of a part of the entry with the pointer to it. */
function below<Result>(pointer: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    const errors = faultsBelow(pointer, (error.facts['errors'] ?? []) as readonly Fault[])
    throw new Problem(error.code, error.message, { facts: { ...error.facts, errors } })
  }
}

/** There is no table yet to hold staged files against, so all are held in memory. */
function holdAll(): Intake {
  const actions: Action[] = []
  return {
    take: async (more) => {
      for (const action of more) actions.push(action)
    },
    finish: async () => ({ actions }),
    abandon: async () => {},
  }
}
