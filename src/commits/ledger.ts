import type { Action } from '../delta/actions.ts'
import { type Winner, winnerOf } from '../delta/conflicts/winner.ts'
import type { ReadState } from '../delta/conflicts.ts'
import type { FencedLock, FencedLocks } from '../locks/fences.ts'
import { keyOf } from '../locks/rows.ts'
import type { Problem } from '../problems.ts'
import { openStateLedger, type StateLedger } from '../state/judge.ts'
import type { RangeRead } from '../state/operations.ts'
import type { EntryRow, NamespaceHead } from '../state/rows.ts'
import type { Reservation } from '../transactions/reservations/rules.ts'
import type {
  ActionRow,
  AppTransactionRow,
  CommitRow,
  FileRow,
  Head,
  LiveFile,
  Writes,
} from './rows.ts'
import type { StageSurvey } from './staged/staged-files.ts'
import type { TableDefinition } from './unit.ts'

/**
 * A table as it stands after the commits of the batch accepted so far, in memory. Of its files, commits and app
 * transactions it knows those that the batch touches.
 */
export interface TableLedger {
  head: Head
  /** The head as the batch found it. */
  opening: Head
  /** Live files by canonical path; `row` where this batch adds the file. */
  files: Map<string, { file: LiveFile; row?: FileRow }>
  /** Live files that lack row ids, where a commit of the batch depends on it. */
  filesWithoutRowIds: number | undefined
  /** Actions that this batch puts in force, by kind and key. */
  actionsInForce: Map<string, ActionRow>
  commits: Map<number, CommitRow>
  /** Whether the commits before the batch are among the winners. */
  knowsWinners: boolean
  /** Commits since the oldest version that a proposal of the batch has read. */
  winners: { version: number; winner: () => Winner }[]
  /** The newest app transaction by appId. */
  appTransactions: Map<string, Pick<AppTransactionRow, 'appVersion' | 'committedIn'>>
  /** The commit that first carried an app's version, or a later one, by `appKey`. */
  carriers: Map<string, number>
  /** Protocol and metadata at versions read, where they are not those of the opening head. */
  readStates: Map<number, ReadState>
  /** How the files that are staged for the table stand to it. */
  survey?: StageSurvey
  /** Who has the table for itself. */
  reservation?: Reservation | undefined
}

/** An earlier commit that may be in conflict with proposals of the batch. */
export interface WinnerCommit {
  row: CommitRow
  actions: () => readonly Action[]
  /** Whether it has a protocol or metadata. */
  changesTable: boolean
}

/** What a batch finds in the database under its locks. */
export interface BatchState {
  /** Epoch milliseconds by the database's clock. */
  now: number
  heads: readonly Head[]
  liveFiles: readonly LiveFile[]
  /** Earlier commits that took a version expected by a proposal of the batch. */
  takers: readonly CommitRow[]
  /** Earlier commits since the versions read, in the order of versions; undefined when they are too many. */
  winners: readonly WinnerCommit[] | undefined
  readStates: readonly { tableId: string; version: number; state: ReadState }[]
  /** Of the tables for which files are staged. */
  surveys?: readonly { tableId: string; survey: StageSurvey }[]
  appTransactions: readonly AppTransactionRow[]
  /** Of the tables that a proposal of the batch would let readers rely on row ids. */
  filesWithoutRowIds: readonly { tableId: string; count: number }[]
  catalog?: CatalogState | undefined
  /** Of the tables that are reserved. */
  reservations?: readonly Reservation[]
  namespaces?: readonly NamespaceHead[]
  /** Those of the namespaces that the batch names. */
  entries?: readonly EntryRow[]
  /** Of ranges of keys that were read, a key that was written since, or may have been. */
  staleRanges?: ReadonlyMap<RangeRead, string>
  /** Of the transactions that were begun by earlier requests, the claims that still stand. */
  claims?: ReadonlySet<string>
  /** The locks of the fences, as far as there are such. */
  fencedLocks?: readonly FencedLock[]
}

/** What is known, under the lock of the catalogue, of names and places that a unit asks for. */
export interface CatalogState {
  /** Names that tables have, in whatever case, of those that are asked for. */
  namesTaken: readonly string[]
  /** For each place of a creation its definition, or why there is none, and the table that lies around it. */
  creations: ReadonlyMap<
    number,
    {
      definition: TableDefinition | Problem
      around: { name: string; location: string } | undefined
    }
  >
}

/** The rows that a ledger gathers. */
export type LedgerWrites = Omit<Writes, 'heads' | 'answers' | 'state'>

/** The tables of a batch, to be found by id, or by name where not dropped. */
export interface Ledger {
  now: number
  tables: ReadonlyMap<string, TableLedger>
  state: StateLedger
  catalog: CatalogState
  claims: ReadonlySet<string>
  fencedLocks: FencedLocks
  writes: LedgerWrites
}

/** Opens the books of one table. The head itself is left unchanged. */
export function openTable(head: Head): TableLedger {
  return {
    head: { ...head },
    opening: head,
    files: new Map(),
    filesWithoutRowIds: undefined,
    actionsInForce: new Map(),
    commits: new Map(),
    knowsWinners: true,
    winners: [],
    appTransactions: new Map(),
    carriers: new Map(),
    readStates: new Map(),
  }
}

/** The head of a table before its version 0. */
export function newHead(
  { id, name }: Pick<Head, 'id' | 'name'>,
  { protocol, metadata }: TableDefinition,
): Head {
  return {
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
}

export function noWrites(): LedgerWrites {
  return {
    tables: [],
    drops: [],
    commits: [],
    files: [],
    fileUpdates: [],
    stages: [],
    actions: [],
    actionUpdates: [],
    transactions: [],
    attempts: [],
  }
}

/** Opens the books of a batch over what was found. The state itself is left unchanged. */
export function openLedger(state: BatchState): Ledger {
  const tables = new Map<string, TableLedger>()
  const reservations = new Map(state.reservations?.map((one) => [one.tableId, one]))
  const knowsWinners = state.winners !== undefined
  for (const head of state.heads) {
    const table = { ...openTable(head), knowsWinners, reservation: reservations.get(head.id) }
    tables.set(head.id, table)
    if (head.droppedAt === null) tables.set(head.name, table)
  }
  for (const file of state.liveFiles) tables.get(file.tableId)?.files.set(file.path, { file })
  for (const { tableId, count } of state.filesWithoutRowIds) {
    const table = tables.get(tableId)
    if (table !== undefined) table.filesWithoutRowIds = count
  }
  for (const row of state.takers) tables.get(row.tableId)?.commits.set(row.version, row)
  for (const { row, actions } of state.winners ?? []) {
    const table = tables.get(row.tableId)
    if (table !== undefined) noteWinner(table, row, actions)
  }
  for (const { tableId, version, state: read } of state.readStates) {
    tables.get(tableId)?.readStates.set(version, read)
  }
  for (const { tableId, appId, asked, carriedIn, ...newest } of state.appTransactions) {
    const table = tables.get(tableId)
    table?.appTransactions.set(appId, newest)
    table?.carriers.set(appKey(appId, asked), carriedIn)
  }
  for (const { tableId, survey } of state.surveys ?? []) {
    const table = tables.get(tableId)
    if (table !== undefined) table.survey = survey
  }
  const { now, catalog = { namesTaken: [], creations: new Map() }, claims = new Set() } = state
  const ofState = openStateLedger(state)
  const fencedLocks = new Map(state.fencedLocks?.map((lock) => [keyOf(lock), lock]))
  return { now, tables, state: ofState, catalog, claims, fencedLocks, writes: noWrites() }
}

/** By what an app's version is known. */
export function appKey(appId: string, version: number | bigint): string {
  return `${version}/${appId}`
}

/** Notes a commit for proposals that have read an earlier version; it is sorted out when one of them asks. */
export function noteWinner(
  table: TableLedger,
  row: CommitRow,
  actions: WinnerCommit['actions'],
): void {
  let winner: Winner | undefined
  table.winners.push({
    version: row.version,
    winner: () => {
      const info = row.commitInfo === null ? undefined : JSON.parse(row.commitInfo).commitInfo
      winner ??= winnerOf({ ...row, isBlindAppend: info?.isBlindAppend === true }, actions())
      return winner
    },
  })
}

/** The heads that the batch has moved. */
export function changedHeads(ledger: Ledger): Head[] {
  const tables = [...new Set(ledger.tables.values())]
  return tables.flatMap(({ head, opening }) => (head.version > opening.version ? head : []))
}
