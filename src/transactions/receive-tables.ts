import { randomUUID } from 'node:crypto'
import { receiveJson } from '../commits/receive.ts'
import { type Intake, openIntake } from '../commits/staged/intake.ts'
import { createStage } from '../commits/staged/stage.ts'
import type { CatalogChange, Part, TableCreation } from '../commits/unit.ts'
import type { Db, Pool } from '../database/connect.ts'
import type { Action } from '../delta/actions.ts'
import { Problem } from '../problems.ts'
import { getTable } from '../tables/get-table.ts'
import { headOf } from '../tables/queries.ts'
import { tableKey } from '../tables/rules.ts'
import { type CreationContext, creationOperation, planCreation } from './creation.ts'
import type { TableEntry } from './entries.ts'
import { inTable } from './rules.ts'

/** What the tables of a request are received with. */
export interface ReceiveContext extends CreationContext {
  db: Db
  /** For COPY of what is sent. */
  stagePool: Pool
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
  context: ReceiveContext,
): Promise<TableCreation> {
  const plan = await planCreation(context, { create, text, id: randomUUID() })
  const { operation = creationOperation(proposed.actions.length) } = proposed
  const proposal = await receiveJson({ ...proposed, operation }, text, holdAll())
  return { ...plan, place, proposal }
}

/** There is no table yet to hold staged files against, so all are held in memory. */
export function holdAll(): Intake {
  const actions: Action[] = []
  return {
    take: async (more) => {
      for (const action of more) actions.push(action)
    },
    finish: async () => ({ actions }),
    abandon: async () => {},
  }
}
