import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { insertCheckpoints } from '../../checkpoints/queries.ts'
import type { Head } from '../../commits/rows.ts'
import type { Db, Pool, Tx } from '../../database/connect.ts'
import { createRowSender, withCopySession } from '../../database/copy-in.ts'
import { isOutOfRange } from '../../database/sqlstate.ts'
import { risingTimes } from '../../delta/commit-times.ts'
import { commitFileName, deltaLogOf } from '../../delta/log-files.ts'
import type { LogHistory } from '../../delta/log-history.ts'
import { metadataOfLine } from '../../delta/table-state.ts'
import { quoted } from '../../delta/text.ts'
import { invalidLog } from '../../delta-log/invalid-log.ts'
import { fileInTable, findHistory } from '../../delta-log/log-folder.ts'
import { applyOnce } from '../../idempotency/apply-once.ts'
import type { WriteOutcome } from '../../idempotency/rules.ts'
import { insertMirror } from '../../mirror/queries.ts'
import { Problem } from '../../problems.ts'
import type { Storage } from '../../storage/storage.ts'
import { type Asked, refuseTakenLocation, refuseTakenName } from '../create-table.ts'
import { getTable } from '../get-table.ts'
import { insertTable, lockCatalog, type TableRow } from '../queries.ts'
import { logColumns } from './log-rows.ts'
import {
  type Ambiguity,
  countKeys,
  createStageTable,
  findDoubleFile,
  findRepeatedAction,
  findRepeatedFile,
  followFiles,
  getImportedTotals,
  insertImportedActions,
  insertImportedCommits,
  insertImportedFiles,
  stageTable,
} from './queries.ts'
import { type ReadHistory, type ReadProgress, readHistory } from './read-history.ts'

/** What the import of tables needs. */
export interface ImportContext {
  db: Db
  /** For COPY of what is read; each import takes a connection of it. */
  stagePool: Pool
  storage: Storage
  idempotencyRetentionMs: number
}

/** What was read of a log. */
export interface ImportedHistory {
  historyFrom: number
  commitsFrom: number
  /** Versions whose commits were read. */
  commits: number
  actions: number
  appTransactions: number
  domains: number
  /** The checkpoint that the history begins with. */
  checkpoint?: string
}

/** A table that was taken over. */
export interface ImportedTable {
  table: TableRow
  history: ImportedHistory
}

/**
 * Takes a table over that others have written: all the history that its log tells, in one transaction. The log and
 * the files stay as they are; the next version goes into the same folder. Refused when the name or the location is
 * taken, or the log damaged.
 */
export async function importTable(
  { stagePool, storage, idempotencyRetentionMs }: ImportContext,
  request: { name: string; location: string; onProgress?: (progress: ReadProgress) => void },
  { idempotent, answer }: Asked<ImportedTable>,
): Promise<WriteOutcome> {
  const { name, onProgress = () => {} } = request
  return withCopySession(stagePool, (session) =>
    applyOnce(session.db, {
      request: idempotent,
      retentionMs: idempotencyRetentionMs,
      answer,
      work: async (tx) => {
        const location = await storage.resolve(request.location)
        await refuseTaken(tx, name, location)
        const folder = await storage.open(deltaLogOf(location))
        const history = await findHistory(folder)
        const copy = (rows: Buffer) => session.copyIn(`${stageTable} (${logColumns})`, rows)
        const sender = createRowSender(copy, sentMax)
        return untilRefused(tx, async () => {
          await createStageTable(tx)
          const { write } = sender
          const read = await readHistory({ folder, history, write, onProgress }).finally(
            sender.idle,
          )
          await sender.flush()
          return takeOver(tx, { name, location, history, read })
        })
      },
    }),
  )
}

/** Bytes that are sent at once. */
const sentMax = 1024 * 1024

/** A refusal leaves nothing behind, whenever it comes. */
async function untilRefused<Result>(tx: Tx, work: () => Promise<Result>): Promise<Result> {
  await sql`savepoint import`.execute(tx)
  try {
    return await work()
  } catch (error) {
    // Where the connection is lost, so is the transaction.
    await sql`rollback to savepoint import`.execute(tx).catch(() => {})
    throw error
  }
}

async function refuseTaken(tx: Tx, name: string, location: string): Promise<void> {
  await refuseTakenName(tx, name)
  await refuseTakenLocation(tx, location)
}

interface ReadTable {
  name: string
  location: string
  history: LogHistory
  read: ReadHistory
}

/** Makes the table of what was staged. */
async function takeOver(tx: Tx, table: ReadTable): Promise<ImportedTable> {
  const { name, location, history, read } = table
  const taken = { tableId: randomUUID(), from: history.from }
  const times = risingTimes(read.times)
  await followFiles(tx)
  await refuseAmbiguity(tx, history)
  await insertImportedFiles(tx, taken)
  await insertImportedActions(tx, taken)
  await insertImportedCommits(tx, taken, times).catch(refuseSums)
  await lockCatalog(tx)
  await refuseTaken(tx, name, location)
  await insertTable(tx, await headOf(tx, taken.tableId, { ...table, times }), location)
  await insertMirror(tx, taken.tableId, history.newest)
  await insertCheckpoints(tx, { tableId: taken.tableId, publishedVersion: history.newest })
  const row = await getTable(tx, taken.tableId)
  const [first] = history.base
  return {
    table: row,
    history: {
      historyFrom: history.from,
      commitsFrom: history.commitsFrom,
      commits: history.commits.length,
      actions: read.actions,
      ...(await countKeys(tx, taken.tableId)),
      ...(first?.kind === 'checkpoint' && { checkpoint: first.files[0]?.name ?? '' }),
    },
  }
}

async function headOf(
  tx: Tx,
  id: string,
  { name, history, read, times }: ReadTable & { times: readonly number[] },
): Promise<Head> {
  const { protocol, metadata, rowIdHighWaterMark } = read
  return {
    id,
    name,
    version: history.newest,
    inCommitTimestamp: times.at(-1) ?? 0,
    protocol: protocol.body,
    protocolJson: protocol.json,
    metadata: metadataOfLine(metadata.json),
    metadataJson: metadata.json,
    rowIdHighWaterMark,
    ...(await getImportedTotals(tx, id)),
    historyFrom: history.from,
    commitsFrom: history.commitsFrom,
    droppedAt: null,
  }
}

/** Readers of Delta logs would not agree on what such a table holds. */
async function refuseAmbiguity(tx: Tx, history: LogHistory): Promise<void> {
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

function refuseSums(error: unknown): never {
  if (!isOutOfRange(error)) throw error
  throw new Problem(
    'delta-log-invalid',
    'The sizes or numbers of records of the files add up to more than a long can hold.',
    { cause: error },
  )
}
