import { parseAction, toProposal } from '../../commits/proposal.ts'
import type { CreateCommit } from '../../commits/schema.ts'
import { type Intake, openIntake } from '../../commits/staged/intake.ts'
import { createStage } from '../../commits/staged/stage.ts'
import type { Part, Proposal } from '../../commits/unit.ts'
import type { Db, Pool } from '../../database/connect.ts'
import { memberSources } from '../../delta/json.ts'
import { parseJson } from '../../http/json-reading.ts'
import { Problem } from '../../problems.ts'
import { getTable } from '../../tables/get-table.ts'
import { headOf } from '../../tables/queries.ts'
import { holdAll } from '../receive-tables.ts'
import { inTable } from '../rules.ts'
import { stagedKind } from './rules.ts'
import { type BlockPlace, listBlocks, type StagedTableRow } from './table-queries.ts'

/** What proposals are made of what was staged with. */
export interface PartsContext {
  db: Db
  stagePool: Pool
  actionsMax: number
  /** Actions of one transaction that are held in memory. */
  heldActionsMax: number
}

/**
 * Makes a proposal of what is staged for each table, those that are to be made included. The files of those for which memory has no room are staged for the
 * commit as if they had just arrived. A refusal names the table.
 */
export async function receiveParts(
  context: PartsContext,
  transactionId: string,
  tables: readonly StagedTableRow[],
): Promise<Part[]> {
  const parts: Part[] = []
  let room = context.heldActionsMax
  try {
    for (const [place, row] of tables.entries()) {
      if (isDrop(row)) continue
      const proposal = await receiveTable(context, { transactionId, row, room }).catch((error) => {
        const at = { table: row.tableId, index: place }
        throw error instanceof Problem ? inTable(error, at) : error
      })
      parts.push({ table: row.tableId, proposal, place })
      if (proposal.staged === undefined) room -= proposal.actions.length
    }
    return parts
  } catch (error) {
    await abandonParts(parts)
    throw error
  }
}

/** Whether there is nothing to be received for the table. */
function isDrop({ fields }: StagedTableRow): boolean {
  const kind = stagedKind(fields)
  return kind === 'drop' || kind === 'undrop'
}

/** Drops what was staged for a commit that is not to be. */
export async function abandonParts(parts: readonly Part[]): Promise<void> {
  await Promise.allSettled(parts.map(({ proposal }) => proposal.staged?.stage.drop()))
}

/** What is staged for one table; memory has room for so many of its actions. An intake is let go of with its table. */
async function receiveTable(
  { db, stagePool, actionsMax }: PartsContext,
  { transactionId, row, room }: { transactionId: string; row: StagedTableRow; room: number },
): Promise<Proposal> {
  const intake =
    stagedKind(row.fields) === 'create'
      ? holdAll()
      : openIntake({
          actionsMax,
          heldActionsMax: Math.max(0, room),
          readHead: async () => headOf(await getTable(db, row.tableId)),
          createStage: () => createStage({ db, stagePool }),
        })
  try {
    return await takeIn(db, { transactionId, row }, intake)
  } catch (error) {
    await intake.abandon()
    throw error
  }
}

async function takeIn(
  db: Db,
  { transactionId, row }: { transactionId: string; row: StagedTableRow },
  intake: Intake,
): Promise<Proposal> {
  const { tableId, fields } = row
  for await (const lines of stagedLines(db, { transactionId, tableId })) {
    await intake.take(lines.map(parseAction))
  }
  const text = fields ?? '{}'
  const values = parseJson(text) as Omit<CreateCommit, 'actions'>
  return toProposal(values, { members: memberSources(text) }, await intake.finish())
}

const blocksMax = 16
const firstPlace: BlockPlace = { firstIndex: 0, position: -1 }

async function* stagedLines(
  db: Db,
  of: { transactionId: string; tableId: string },
): AsyncGenerator<string[]> {
  for (let after: BlockPlace | undefined = firstPlace; after !== undefined; ) {
    const blocks: Awaited<ReturnType<typeof listBlocks>> = await listBlocks(db, of, {
      after,
      limit: blocksMax,
    })
    for (const { lines } of blocks) yield lines.split('\n')
    after = blocks.length < blocksMax ? undefined : blocks.at(-1)
  }
}
