import { sql } from 'kysely'
import type { Tx } from '../../database/connect.ts'
import { type CopySession, createRowSender } from '../../database/copy-in.ts'
import { isOutOfRange } from '../../database/sqlstate.ts'
import { commitFileName } from '../../delta/log-files.ts'
import type { LogHistory } from '../../delta/log-history.ts'
import { quoted } from '../../delta/text.ts'
import { invalidLog } from '../../delta-log/invalid-log.ts'
import { fileInTable } from '../../delta-log/log-folder.ts'
import { Problem } from '../../problems.ts'
import { logColumns } from './log-rows.ts'
import {
  type Ambiguity,
  createStageTable,
  findDoubleFile,
  findRepeatedAction,
  findRepeatedFile,
  stageTable,
} from './queries.ts'
import { type ReadHistory, type ReadOptions, readHistory } from './read-history.ts'

/** Bytes that are sent at once. */
const sentMax = 1024 * 1024

/** Reads a history into a table of the transaction, which is that of the session. Throws `delta-log-invalid`. */
export async function stageHistory(
  tx: Tx,
  session: CopySession,
  options: Omit<ReadOptions, 'write'>,
): Promise<ReadHistory> {
  const copy = (rows: Buffer) => session.copyIn(`${stageTable} (${logColumns})`, rows)
  const { write, flush, idle } = createRowSender(copy, sentMax)
  await createStageTable(tx)
  const read = await readHistory({ ...options, write }).finally(idle)
  await flush()
  return read
}

/** A refusal leaves nothing behind, whenever it comes. */
export async function untilRefused<Result>(tx: Tx, work: () => Promise<Result>): Promise<Result> {
  await sql`savepoint import`.execute(tx)
  try {
    return await work()
  } catch (error) {
    // Where the connection is lost, so is the transaction.
    await sql`rollback to savepoint import`.execute(tx).catch(() => {})
    throw error
  }
}

/** Readers of Delta logs would not agree on what such a table holds. */
export async function refuseAmbiguity(tx: Tx, history: LogHistory): Promise<void> {
  const repeated = await findRepeatedFile(tx)
  if (repeated !== undefined) {
    const message = `the file ${quoted(repeated.key)} is added or removed twice in one version, and it is left open what counts`
    throw invalidLog({ ...placeOf(repeated, history), message })
  }
  const double = await findDoubleFile(tx)
  if (double !== undefined) {
    const message = `the file ${quoted(double.key)} is added while it is in the table with another deletion vector`
    throw invalidLog({ ...placeOf(double, history), message })
  }
  const action = await findRepeatedAction(tx)
  if (action !== undefined) {
    const message = `the version has two ${action.kind} actions that say different things, and it is left open which counts`
    throw invalidLog({ ...placeOf(action, history), message })
  }
}

/** Where an action was read. Those of the base have lost their place. */
function placeOf({ version, position }: Ambiguity, { commitsFrom, base }: LogHistory) {
  if (version < commitsFrom) {
    return { file: fileInTable(base.at(-1)?.files[0]?.name ?? '') }
  }
  // Empty lines, which nobody writes, aside.
  return {
    file: fileInTable(commitFileName(version)),
    line: (position < 0 ? -1 - position : position) + 1,
  }
}

/** Throws the refusal of sums that no long holds, or what else went wrong. */
export function refuseSums(error: unknown): never {
  if (!isOutOfRange(error)) throw error
  throw new Problem(
    'delta-log-invalid',
    'The sizes or numbers of records of the files add up to more than a long can hold.',
    { cause: error },
  )
}
