import { randomUUID } from 'node:crypto'
import { tooManyActions } from '../../commits/proposal.ts'
import type { Db, Pool } from '../../database/connect.ts'
import { copyIn, copyRow, createRowSender, type RowSender } from '../../database/copy-in.ts'
import type { Action } from '../../delta/actions.ts'
import {
  type Block,
  deleteChunk,
  type FinishedChunk,
  insertChunks,
  type TableOf,
} from './table-queries.ts'

/** Takes the actions of one request. They become part of the transaction when they are staged, all at once. */
export interface Chunk {
  /** Throws a problem when they become too many. */
  take: (actions: readonly Action[]) => Promise<void>
  finish: () => Promise<FinishedChunk>
  /** Forgets what was sent. What cannot be forgotten now is swept up later. */
  abandon: () => Promise<void>
}

export interface ChunkOptions {
  db: Db
  /** For COPY of what is sent. */
  stagePool: Pool
  /** Actions on one table at most. */
  actionsMax: number
}

/** Characters of the lines in one row, but for a line that alone is longer. */
const blockMax = 64 * 1024
/** Characters of lines that are kept in memory until they are staged. */
const heldMax = 1024 * 1024
/** Bytes that are sent at once. */
const sentMax = 256 * 1024

/** Few lines stay in memory until they are staged; of many all are sent, while they arrive. */
export function openChunk({ db, stagePool, actionsMax }: ChunkOptions, of: TableOf): Chunk {
  const id = randomUUID()
  const held: Block[] = []
  let heldCharacters = 0
  let numActions = 0
  let position = 0
  let lines: string[] = []
  let characters = 0
  let sender: RowSender | undefined

  async function closeBlock(): Promise<void> {
    if (lines.length === 0) return
    const block = { position, lines: lines.join('\n') }
    position += 1
    lines = []
    characters = 0
    if (sender !== undefined) return sender.write(rowOf(block))
    held.push(block)
    heldCharacters += block.lines.length
    if (heldCharacters > heldMax) await beginSending()
  }

  const rowOf = (block: Block) => copyRow([id, block.position, block.lines])

  async function beginSending(): Promise<void> {
    // Noted first, so that what is sent can be found should this server die.
    await insertChunks(db, [{ id, ...of, firstIndex: null, numActions: 0 }])
    sender = createRowSender((rows) => copyIn(stagePool, 'transaction_lines', rows), sentMax)
    for (const block of held.splice(0)) await sender.write(rowOf(block))
  }

  return {
    async take(actions) {
      numActions += actions.length
      if (numActions > actionsMax)
        throw tooManyActions(`at least ${numActions} actions`, actionsMax)
      for (const { json } of actions) {
        lines.push(json)
        characters += json.length
        if (characters >= blockMax) await closeBlock()
      }
    },
    async finish() {
      await closeBlock()
      await sender?.flush()
      return { id, numActions, blocks: held }
    },
    async abandon() {
      if (sender === undefined) return
      await sender.idle()
      await deleteChunk(db, id).catch(() => {})
    },
  }
}
