import type { Head } from '../../commits/rows.ts'
import type { Tx } from '../../database/connect.ts'
import type { CopySession } from '../../database/copy-in.ts'
import { risingTimes } from '../../delta/commit-times.ts'
import type { ListedFile, LogHistory } from '../../delta/log-history.ts'
import { metadataOfLine } from '../../delta/table-state.ts'
import type { Folder } from '../../storage/storage.ts'
import { updateHeads } from '../queries.ts'
import { endActions, endLiveFiles, stageLiveFiles } from './continued-queries.ts'
import {
  followFiles,
  getImportedTotals,
  insertImportedActions,
  insertImportedCommits,
  insertImportedFiles,
} from './queries.ts'
import type { ReadHistory } from './read-history.ts'
import { refuseAmbiguity, refuseSums, stageHistory } from './stage-history.ts'

/** Versions that others wrote behind the newest one of a table, read and ready to be taken in. */
export interface Continuation {
  history: LogHistory
  read: ReadHistory
}

/** What commits are read from, and what they follow. */
export interface ForeignCommits {
  folder: Folder
  /** One for each version behind the head, without a gap. */
  commits: readonly ListedFile[]
  head: Pick<
    Head,
    'version' | 'protocol' | 'protocolJson' | 'metadata' | 'metadataJson' | 'rowIdHighWaterMark'
  >
}

/** Reads commits into a table of the transaction, which is that of the session. Throws `delta-log-invalid`. */
export async function stageContinuation(
  tx: Tx,
  session: CopySession,
  { folder, commits, head }: ForeignCommits,
): Promise<Continuation> {
  const from = head.version + 1
  const newest = head.version + commits.length
  const history: LogHistory = { from, newest, base: [], commits, commitsFrom: from }
  const before = {
    protocol: { kind: 'protocol' as const, body: head.protocol, json: head.protocolJson },
    metadata: { kind: 'metaData' as const, body: head.metadata, json: head.metadataJson },
    rowIdHighWaterMark: head.rowIdHighWaterMark,
  }
  return { history, read: await stageHistory(tx, session, { folder, history, before }) }
}

/** Makes what was staged the next versions of a table. Its head must be locked, and be the one that was read behind. */
export async function continueTable(
  tx: Tx,
  head: Head,
  { history, read }: Continuation,
): Promise<void> {
  const { id: tableId, numFiles, sizeInBytes, numRecords, numFilesWithoutRecords } = head
  const before = { numFiles, sizeInBytes, numRecords, numFilesWithoutRecords }
  const taken = { tableId, from: history.from, before }
  const { inCommitTimestamp } = head
  const last = { modifiedAt: inCommitTimestamp, inCommitTimestamp }
  const times = risingTimes([last, ...read.times]).slice(1)
  await stageLiveFiles(tx, taken)
  await followFiles(tx)
  await refuseAmbiguity(tx, history)
  await endLiveFiles(tx, taken)
  await insertImportedFiles(tx, taken)
  await endActions(tx, taken)
  await insertImportedActions(tx, taken)
  await insertImportedCommits(tx, taken, times).catch(refuseSums)
  const { protocol, metadata, rowIdHighWaterMark } = read
  const next: Head = {
    ...head,
    version: history.newest,
    inCommitTimestamp: times.at(-1) ?? inCommitTimestamp,
    protocol: protocol.body,
    protocolJson: protocol.json,
    metadata: metadataOfLine(metadata.json),
    metadataJson: metadata.json,
    rowIdHighWaterMark,
    ...(await getImportedTotals(tx, tableId)),
  }
  await updateHeads(tx, [next])
}
