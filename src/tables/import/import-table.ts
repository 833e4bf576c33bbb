import { randomUUID } from 'node:crypto'
import { insertCheckpoints } from '../../checkpoints/queries.ts'
import type { Head } from '../../commits/rows.ts'
import type { Db, Pool, Tx } from '../../database/connect.ts'
import { withCopySession } from '../../database/copy-in.ts'
import { risingTimes } from '../../delta/commit-times.ts'
import { deltaLogOf } from '../../delta/log-files.ts'
import type { LogHistory } from '../../delta/log-history.ts'
import { metadataOfLine } from '../../delta/table-state.ts'
import { findHistory } from '../../delta-log/log-folder.ts'
import { applyOnce } from '../../idempotency/apply-once.ts'
import type { WriteOutcome } from '../../idempotency/rules.ts'
import { insertMirror } from '../../mirror/queries.ts'
import type { Storage } from '../../storage/storage.ts'
import { type Asked, refuseTakenLocation, refuseTakenName } from '../create-table.ts'
import { getTable } from '../get-table.ts'
import { insertTable, lockCatalog, type TableRow } from '../queries.ts'
import {
  countKeys,
  followFiles,
  getImportedTotals,
  insertImportedActions,
  insertImportedCommits,
  insertImportedFiles,
} from './queries.ts'
import type { ReadHistory, ReadProgress } from './read-history.ts'
import { refuseAmbiguity, refuseSums, stageHistory, untilRefused } from './stage-history.ts'

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
  const { name, onProgress } = request
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
        return untilRefused(tx, async () => {
          const read = await stageHistory(tx, session, { folder, history, onProgress })
          return takeOver(tx, { name, location, history, read })
        })
      },
    }),
  )
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
