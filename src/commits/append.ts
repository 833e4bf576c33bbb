import type { Action, ActionBodies, ActionOf } from '../delta/actions.ts'
import { commitInfoLine } from '../delta/commit-info.ts'
import { isBlindAppend, noReads } from '../delta/conflicts/reads.ts'
import { completeRemove } from '../delta/conflicts/winner.ts'
import { deletionVectorId } from '../delta/deletion-vectors.ts'
import { withTimestamps } from '../delta/in-commit-timestamps.ts'
import { exactBody } from '../delta/json.ts'
import { addLongs, subtractLongs } from '../delta/longs.ts'
import { fileKey } from '../delta/paths.ts'
import { noRowId } from '../delta/row-ids.ts'
import { recordCount } from '../delta/statistics.ts'
import { type LedgerWrites, noteWinner, type TableLedger } from './ledger.ts'
import type { DeclaredReads } from './reads.ts'
import { countWithoutRowIds, trackRows, trackStagedRows } from './row-ids.ts'
import type { CommitRow, FileEnd, FileRow, Totals } from './rows.ts'
import type { StagedFiles } from './staged/staged-files.ts'
import type { Proposal } from './unit.ts'

/** A version being entered: its row, the books it goes into, and each action with its line in the log file. */
interface Entry {
  writes: LedgerWrites
  table: TableLedger
  row: Omit<CommitRow, keyof Totals>
  lines: readonly { action: Action; position: number }[]
  /** The add of each live file that is removed, as its log line. */
  removed: Map<Action, string>
}

/** What a proposal is entered with. */
interface Entering {
  proposal: Proposal
  inCommitTimestamp: number
  /** The transaction over several tables that it is part of. */
  transactionId?: string | undefined
}

/**
 * Enters the proposal as the next version of the table: the rows to write, and the head after it. The proposal
 * must have been judged legal on the head.
 */
export function appendCommit(
  writes: LedgerWrites,
  table: TableLedger,
  entering: Entering,
): CommitRow {
  const { head } = table
  const { proposal, inCommitTimestamp } = entering
  const row = newCommitRow(table, entering)
  const highestRowId = head.rowIdHighWaterMark ?? noRowId
  const lines = placeLines(table, proposal, row)
  const entry: Entry = { writes, table, row, lines, removed: new Map() }
  head.version = row.version
  head.inCommitTimestamp = inCommitTimestamp
  if (proposal.staged !== undefined) enterStaged(entry, proposal.staged, highestRowId)
  // A commit may remove a file and add it anew, in either order of lines; the removal comes first in effect.
  for (const [action, position] of each(entry, 'remove')) enterRemove(entry, action, position)
  for (const [action, position] of each(entry, 'add')) enterAdd(entry, action, position)
  for (const { action, position } of lines) {
    if (action.kind !== 'add' && action.kind !== 'remove') enterOther(entry, action, position)
  }
  const { numFiles, sizeInBytes, numRecords, numFilesWithoutRecords } = head
  const entered = { ...row, numFiles, sizeInBytes, numRecords, numFilesWithoutRecords }
  writes.commits.push(entered)
  table.commits.set(row.version, entered)
  noteWinner(table, entered, () => lines.map(({ action }) => complete(action, entry.removed)))
  return entered
}

/** The lines of the log file; files that are staged have theirs already. */
function placeLines(
  table: TableLedger,
  { actions: proposed, staged }: Proposal,
  row: Pick<CommitRow, 'version' | 'inCommitTimestamp'>,
): Entry['lines'] {
  const actions = withTimestamps(proposed, table.head, row)
  if (staged === undefined) {
    const lines = actions.filter((action) => action.kind !== 'commitInfo')
    return trackRows(table, lines).map((action, index) => ({ action, position: index + 1 }))
  }
  const { places, numLines } = staged
  return [...actions, ...trackStagedRows(table)].flatMap((action, at) => {
    // What the service itself has put behind the actions of the body comes behind its lines.
    const position = places[at]?.position ?? numLines + 1 + at - places.length
    return action.kind === 'commitInfo' ? [] : { action, position }
  })
}

/**
 * Enters what the staged files come to; the rows of the files are made of the stage itself, with row ids behind the
 * highest.
 */
function enterStaged(
  { writes, table, row }: Entry,
  staged: StagedFiles,
  highestRowId: number | bigint,
): void {
  const { head, survey } = table
  if (survey === undefined) throw new Error('staged files were not held against their table')
  const { removed, replaced, rowIds } = survey
  row.numAddedFiles = staged.adds.numFiles
  row.numAddedBytes = staged.adds.sizeInBytes
  row.numRemovedFiles = staged.numRemoves
  row.numRemovedBytes = removed.sizeInBytes
  for (const sums of [removed, replaced]) {
    head.numFiles -= sums.numFiles
    head.sizeInBytes = subtractLongs(head.sizeInBytes, sums.sizeInBytes)
    head.numRecords = subtractLongs(head.numRecords, sums.numRecords)
    head.numFilesWithoutRecords -= sums.numFilesWithoutRecords
  }
  head.numFiles += staged.adds.numFiles
  head.sizeInBytes = addLongs(head.sizeInBytes, staged.adds.sizeInBytes)
  head.numRecords = addLongs(head.numRecords, staged.adds.numRecords)
  head.numFilesWithoutRecords += staged.adds.numFilesWithoutRecords
  writes.stages.push({
    stage: staged.stage.table,
    tableId: row.tableId,
    version: row.version,
    hasRemoves: staged.numRemoves > 0,
    hasTombstones: staged.numRemoves > removed.numFiles,
    replacesFiles: replaced.numFiles > 0,
    highestRowId: rowIds.numAssigned === undefined ? undefined : highestRowId,
  })
}

function newCommitRow(
  { head }: TableLedger,
  { proposal, inCommitTimestamp, transactionId }: Entering,
): Omit<CommitRow, keyof Totals> {
  const { operation } = proposal
  const isBlindAppend =
    proposal.expectedVersion === undefined &&
    (proposal.staged?.numRemoves ?? 0) === 0 &&
    isBlind(proposal.actions, proposal.reads ?? {})
  return {
    tableId: head.id,
    version: head.version + 1,
    inCommitTimestamp,
    operation,
    transactionId: transactionId ?? null,
    numAddedFiles: 0,
    numRemovedFiles: 0,
    numAddedBytes: 0,
    numRemovedBytes: 0,
    commitInfo: commitInfoLine(proposal.info, {
      inCommitTimestamp,
      operation,
      isBlindAppend,
      transactionId,
    }),
  }
}

/** Whether a commit was decided without a look at the files of the table. */
function isBlind(actions: readonly Action[], reads: DeclaredReads): boolean {
  const { wholeTable = false, predicates = [], files = [] } = reads
  return isBlindAppend(actions, {
    ...noReads,
    wholeTable: wholeTable || predicates.length > 0,
    files: new Set(files),
  })
}

/** A predicate tells a removed file apart by what its add says, which a remove need not repeat. */
function complete(action: Action, removed: ReadonlyMap<Action, string>): Action {
  const add = removed.get(action)
  if (add === undefined || action.kind !== 'remove') return action
  return { ...action, body: completeRemove(action.body, JSON.parse(add).add) }
}

function* each<K extends keyof ActionBodies>(
  entry: Entry,
  kind: K,
): Generator<[ActionOf<K>, number]> {
  for (const { action, position } of entry.lines) {
    if (action.kind === kind) yield [action as ActionOf<K>, position]
  }
}

function enterRemove(entry: Entry, action: ActionOf<'remove'>, position: number): void {
  const { row, table, writes } = entry
  const path = fileKey(action.body.path)
  const end = { removedVersion: row.version, removedPosition: position, remove: action.json }
  const life = table.files.get(path)
  const vector = deletionVectorId(action.body.deletionVector)
  row.numRemovedFiles += 1
  if (life !== undefined && life.file.deletionVectorId === vector) {
    row.numRemovedBytes = addLongs(row.numRemovedBytes, life.file.size)
    if (life.file.add !== null) entry.removed.set(action, life.file.add)
    endLife(entry, path, end)
    return
  }
  // The remove of a file that is not live is kept as a life of no length: a tombstone.
  writes.files.push({
    tableId: row.tableId,
    path,
    addedVersion: row.version,
    addedPosition: position,
    deletionVectorId: vector,
    size: 0,
    numRecords: null,
    add: null,
    ...end,
  })
}

function enterAdd(entry: Entry, action: ActionOf<'add'>, position: number): void {
  const { row, table, writes } = entry
  const body = exactBody(action)
  const path = fileKey(body.path)
  if (table.files.has(path)) {
    endLife(entry, path, { removedVersion: row.version, removedPosition: null, remove: null })
  }
  const file: FileRow = {
    tableId: row.tableId,
    path,
    addedVersion: row.version,
    addedPosition: position,
    deletionVectorId: deletionVectorId(body.deletionVector),
    size: body.size,
    numRecords: recordCount(body) ?? null,
    add: action.json,
    removedVersion: null,
    removedPosition: null,
    remove: null,
  }
  writes.files.push(file)
  table.files.set(path, { file, row: file })
  countWithoutRowIds(table, file, 1)
  row.numAddedFiles += 1
  row.numAddedBytes = addLongs(row.numAddedBytes, file.size)
  const { head } = table
  head.numFiles += 1
  head.sizeInBytes = addLongs(head.sizeInBytes, file.size)
  if (file.numRecords === null) head.numFilesWithoutRecords += 1
  else head.numRecords = addLongs(head.numRecords, file.numRecords)
}

function endLife({ writes, table }: Entry, path: string, end: FileEnd): void {
  const life = table.files.get(path)
  if (life === undefined) return
  const { file, row } = life
  table.files.delete(path)
  countWithoutRowIds(table, file, -1)
  if (row !== undefined) Object.assign(row, end)
  else {
    const { tableId, addedVersion, addedPosition } = file
    writes.fileUpdates.push({ tableId, addedVersion, addedPosition, ...end })
  }
  const { head } = table
  head.numFiles -= 1
  head.sizeInBytes = subtractLongs(head.sizeInBytes, file.size)
  if (file.numRecords === null) head.numFilesWithoutRecords -= 1
  else head.numRecords = subtractLongs(head.numRecords, file.numRecords)
}

function enterOther({ writes, table, row }: Entry, action: Action, position: number): void {
  const key = reconciliationKey(action)
  const entered = {
    tableId: row.tableId,
    version: row.version,
    position,
    kind: action.kind,
    key,
    supersededVersion: null,
    appVersion: action.kind === 'txn' ? exactBody(action).version : null,
    action: action.json,
  }
  writes.actions.push(entered)
  if (key === null) return
  const place = `${action.kind}/${key}`
  const before = table.actionsInForce.get(place)
  if (before !== undefined) before.supersededVersion = row.version
  else {
    writes.actionUpdates.push({
      tableId: row.tableId,
      kind: action.kind,
      key,
      supersededVersion: row.version,
    })
  }
  table.actionsInForce.set(place, entered)
  if (action.kind === 'txn') {
    const appVersion = exactBody(action).version
    table.appTransactions.set(key, { appVersion, committedIn: row.version })
  }
  if (action.kind === 'protocol') {
    table.head.protocol = action.body
    table.head.protocolJson = action.json
  }
  if (action.kind === 'metaData') {
    table.head.metadata = action.body
    table.head.metadataJson = action.json
  }
}

/** By what a later action of the same kind replaces this one; null where nothing does. PROTOCOL.md, "Action Reconciliation". */
function reconciliationKey(action: Action): string | null {
  switch (action.kind) {
    case 'protocol':
    case 'metaData':
      return ''
    case 'txn':
      return action.body.appId
    case 'domainMetadata':
      return action.body.domain
    default:
      return null
  }
}
