import type { Pool, Tx } from '../database/connect.ts'
import { inPipelinedTransaction, type PipelineSettings } from '../database/pipeline.ts'
import { claimKeys, findAnswers, insertAnswers, keysOf } from '../idempotency/queries.ts'
import type { Outcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import { insertAttempts } from '../runs/number-queries.ts'
import type { StateProposal } from '../state/operations.ts'
import { deferFlush, findEntries, lockNamespaces, writeState } from '../state/queries.ts'
import { insertNewTable } from '../tables/insert-new-table.ts'
import { findExisting, lockCatalog, lockHeads, setDropped, updateHeads } from '../tables/queries.ts'
import { isTableId } from '../tables/rules.ts'
import { insertTransactions } from '../transactions/queries.ts'
import { readCatalog } from '../transactions/read-catalog.ts'
import { clearReserved, findReservations } from '../transactions/reservations/queries.ts'
import { lockClaims, updateCommitted } from '../transactions/staged/queries.ts'
import { transactionRow } from '../transactions/transaction-json.ts'
import { type JudgedOutcome, judgeBatch, type KeyState } from './judge.ts'
import type { BatchState } from './ledger.ts'
import {
  countFilesWithoutRowIds,
  endFiles,
  findCommits,
  findLiveFiles,
  insertActions,
  insertCommits,
  insertFiles,
  supersedeActions,
} from './queries.ts'
import type { Head, Writes } from './rows.ts'
import { applyStage } from './staged/queries.ts'
import { surveyStages } from './staged/survey.ts'
import {
  appTransactionsAsked,
  carriersOf,
  changedReads,
  entriesAsked,
  filesTouched,
  placeParts,
  relyingOnRowIds,
  takenVersions,
  winnersWanted,
} from './touched.ts'
import type { CatalogChange, CommittedTransaction, Part, Unit } from './unit.ts'
import { findAppTransactions, findReadStates, listWinners } from './winners.ts'

/** When a batch had locked and read, and when it was judged, by the clock of `performance.now`. */
export interface StageTimes {
  read: number
  judged: number
}

/** What became of a batch. */
export interface BatchResult {
  /** An outcome or a refusal for each unit, but for those that were passed by. */
  outcomes: Map<Unit, JudgedOutcome | Problem>
  times: StageTimes
  /** The tables that have a new version. */
  changedTables: string[]
  /** The namespaces of the state that have a new revision, by name. */
  changedNamespaces: string[]
  /** Whether it had to wait for a table, which another transaction then left changed. */
  waited: boolean
  /** Stands for the state that the batch left. Undefined when PostgreSQL went away right behind the commit. */
  consistencyToken: string | undefined
}

/**
 * Commits a batch of units in one PostgreSQL transaction: lock, read, judge, write. The number of statements
 * does not depend on the number of units, files or tables. When it throws nothing was committed, except when it
 * throws a `Problem`: then the database was asked to commit and its answer was lost.
 *
 * A table whose row another transaction holds is waited for if `waits`; else its units are passed by.
 */
export async function commitBatch(
  pool: Pool,
  units: readonly Unit[],
  { bulkMsMax, ...reading }: CommitOptions & Waiting,
): Promise<BatchResult> {
  let isCommitting = false
  const work = async (tx: Tx) => {
    const { held, waited, freed, ...found } = await lockAndRead(tx, units, reading)
    const read = performance.now()
    const isFree = ({ parts, state = [] }: Unit) =>
      parts.every(({ table }) => !held.has(table)) &&
      state.every(({ namespaceId }) => !held.has(namespaceId))
    const judged = found.units.filter(isFree)
    const { outcomes, writes } = await surveyAndJudge(tx, judged, found)
    isCommitting = true
    const result = {
      outcomes: new Map(
        judged.map((unit, index) => [unit, outcomes[index] as JudgedOutcome | Problem]),
      ),
      times: { read, judged: performance.now() },
      changedTables: [...writes.heads, ...writes.tables.map(({ head }) => head)].map(
        ({ id }) => id,
      ),
      changedNamespaces: writes.state.namespaces.map(({ namespace }) => namespace),
      waited,
    }
    return { result, writes: [...write(tx, writes), clearReserved(tx, freed)] }
  }
  const settings = settingsFor(partsOf(units), bulkMsMax)
  const { result, consistencyToken } = await inPipelinedTransaction(pool, work, settings).catch(
    (error) => {
      throw isCommitting && !isRefusal(error) ? inDoubt(error) : error
    },
  )
  return { ...result, consistencyToken }
}

/**
 * The outcome that a unit would have now. It is judged on the locked heads like any other, and nothing is
 * written; its idempotency key is left aside.
 */
export async function checkUnit(
  pool: Pool,
  unit: Unit,
  { bulkMsMax }: Pick<CommitOptions, 'bulkMsMax'>,
): Promise<Outcome | Problem> {
  const alone = { ...unit, idempotent: undefined }
  const work = async (tx: Tx) => {
    const reading = { idempotencyRetentionMs: 0, waits: true }
    const { outcomes } = await surveyAndJudge(tx, [alone], await lockAndRead(tx, [alone], reading))
    return { result: outcomes, writes: [] }
  }
  const settings = settingsFor(unit.parts, bulkMsMax)
  const { result } = await inPipelinedTransaction(pool, work, settings)
  const [outcome] = result
  if (outcome === undefined) throw new Error('a unit was judged without an outcome')
  return outcome
}

/** How long answers are kept, and how long a statement about staged files may take. */
export interface CommitOptions {
  idempotencyRetentionMs: number
  bulkMsMax: number
}

function settingsFor(parts: readonly Part[], bulkMsMax: number): PipelineSettings {
  return parts.some(({ proposal }) => proposal.staged !== undefined) ? { bulkMsMax } : {}
}

/** Judges units on what was found; files that are staged are first held against the table where they lie. */
async function surveyAndJudge(
  tx: Tx,
  units: readonly Unit[],
  { state, keyState }: { state: BatchState; keyState: KeyState },
) {
  const isKnown = ({ idempotent }: Unit) =>
    idempotent !== undefined &&
    (keyState.kept.has(idempotent.key) || keyState.busy.has(idempotent.key))
  const parts = partsOf(units.filter((unit) => !isKnown(unit)))
  const surveys = await surveyStages(tx, parts, state)
  return judgeBatch(units, { ...state, surveys }, keyState)
}

function partsOf(units: readonly Unit[]): Part[] {
  return units.flatMap((unit) => unit.parts)
}

/** How a batch deals with tables that another transaction holds. */
interface Waiting {
  /** Whether it waits for them, or passes by their units. */
  waits: boolean
  /** Whether a wait is likely; then nothing is read before the locks are there, for it would be read again. */
  expectsWait?: boolean
  /** Called when it has waited, or expected to: units on its tables that have come meanwhile, and go with it. */
  takeIn?: (() => readonly Unit[]) | undefined
}

/** What a batch has found under its locks, and its units by then. */
interface Found {
  units: readonly Unit[]
  state: BatchState
  keyState: KeyState
  /** Tables and namespaces that were held, which it did not lock. */
  held: ReadonlySet<string | number>
  waited: boolean
  /** Tables that were reserved, and are no more. */
  freed: string[]
}

/**
 * Locks what the verdicts depend on, and reads it under the locks, in as few journeys as can be: one, if tables are
 * named by id and none is waited for.
 */
async function lockAndRead(
  tx: Tx,
  units: readonly Unit[],
  reading: Waiting & Pick<CommitOptions, 'idempotencyRetentionMs'>,
): Promise<Found> {
  const { idempotencyRetentionMs, waits, expectsWait = false, takeIn = () => [] } = reading
  const parts = partsOf(units)
  const changes = units.flatMap((unit) => unit.changes ?? [])
  const tables = [...new Set([...parts, ...changes.filter(isOfOld)].map(({ table }) => table))]
  const catalogLock = changes.length > 0 ? await lockCatalog(tx) : { now: 0 }
  // Statements run in the order in which they are issued: the locks first.
  const claiming = claimKeys(tx, keysOf(units))
  const locking = lockHeads(tx, tables, { skipHeld: !waits })
  const claims = lockClaims(tx, claimsOf(units))
  const ids = namespacesOf(units)
  const lockingState = lockNamespaces(tx, ids, { skipHeld: !waits })
  // Tables that are named by id can be read at once; those named by name are only known when locked.
  const readsEarly = !expectsWait && parts.every((part) => isTableId(part.table))
  const early = readsEarly ? read(tx, units, { heads: [], idempotencyRetentionMs }) : undefined
  const [busy, locked, foundEarly, standing, namespaces] = await Promise.all([
    claiming,
    locking,
    early,
    claims,
    lockingState,
  ])
  const { heads } = locked
  const waited = locked.waited || namespaces.waited
  const more = waited || expectsWait ? takeIn() : []
  const all = [...units, ...more]
  const [busyToo, standingToo, { kept, ...touched }] = await Promise.all([
    claimKeys(tx, keysOf(more)),
    lockClaims(tx, claimsOf(more)),
    more.length === 0 && foundEarly !== undefined
      ? foundEarly
      : read(tx, all, { heads, idempotencyRetentionMs }),
  ])
  const placed = placeParts(partsOf(all), heads)
  const now = Math.max(locked.now, namespaces.now, catalogLock.now)
  const [takers, readStates, heldTables, catalog, reservations] = await Promise.all([
    findCommits(tx, [...takenVersions(placed, heads), ...carriersOf(touched.appTransactions)]),
    findReadStates(tx, changedReads(placed, touched.winners ?? [])),
    waits ? [] : findExisting(tx, unlocked(tables, heads)),
    changes.length > 0 ? readCatalog(tx, changes, { heads, now }) : undefined,
    findReservations(tx, locked.reserved),
  ])
  const freed = locked.reserved.filter((id) => !reservations.some((one) => one.tableId === id))
  const keyState = { busy: new Set([...busy, ...busyToo]), kept }
  const known = new Set([...standing, ...standingToo])
  const lockedIds = new Set(namespaces.heads.map(({ id }) => id))
  const held = new Set<string | number>([...heldTables, ...ids.filter((id) => !lockedIds.has(id))])
  const found = {
    now,
    heads,
    namespaces: namespaces.heads,
    takers,
    readStates,
    catalog,
    reservations,
    claims: known,
  }
  return { units: all, state: { ...found, ...touched }, keyState, held, waited, freed }
}

/** The claims by which transactions that were begun earlier are committed. */
function claimsOf(units: readonly Unit[]): { id: string; claim: string }[] {
  return units.flatMap(({ transaction }) => {
    const { id, begun } = transaction ?? {}
    return id === undefined || begun === undefined ? [] : { id, claim: begun.claim }
  })
}

function proposalsOf(units: readonly Unit[]): StateProposal[] {
  return units.flatMap(({ state = [] }) => state)
}

function namespacesOf(units: readonly Unit[]): number[] {
  return [...new Set(proposalsOf(units).map(({ namespaceId }) => namespaceId))]
}

/** Whether a change is of a table that there is, or should be. */
function isOfOld({ kind }: CatalogChange): boolean {
  return kind !== 'create'
}

/** The tables that are none of the heads: they are held, or not there. */
function unlocked(tables: readonly string[], heads: readonly Head[]): string[] {
  const locked = new Set(heads.flatMap(({ id, name }) => [id, name]))
  return tables.filter((table) => !locked.has(table))
}

/** Reads what units touch: kept answers, live files, commits since the versions read, app transactions, state entries. */
async function read(
  tx: Tx,
  units: readonly Unit[],
  { heads, idempotencyRetentionMs }: { heads: readonly Head[]; idempotencyRetentionMs: number },
) {
  const parts = placeParts(partsOf(units), heads)
  const [kept, liveFiles, winners, appTransactions, filesWithoutRowIds, entries] =
    await Promise.all([
      findAnswers(tx, keysOf(units), idempotencyRetentionMs),
      findLiveFiles(tx, filesTouched(parts)),
      listWinners(tx, winnersWanted(parts)),
      findAppTransactions(tx, appTransactionsAsked(parts)),
      countFilesWithoutRowIds(tx, relyingOnRowIds(parts)),
      findEntries(tx, entriesAsked(proposalsOf(units))),
    ])
  return { kept, liveFiles, winners, appTransactions, filesWithoutRowIds, entries }
}

/** An error that ends a transaction but not its session comes from a database that did not commit. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'severity' in error && error.severity === 'ERROR'
}

function inDoubt(cause: unknown): Problem {
  return new Problem(
    'database-unavailable',
    'PostgreSQL went away during the commit, and whether it took effect is not known. Repeat it with its Idempotency-Key, or look first.',
    { headers: { 'retry-after': '1' }, cause },
  )
}

function writeTransactions(tx: Tx, transactions: readonly CommittedTransaction[]): Promise<void>[] {
  const isBegun = ({ begun }: CommittedTransaction) => begun !== undefined
  const begun = transactions.filter(isBegun)
  const whole = transactions.filter((one) => !isBegun(one))
  return [
    insertTransactions(tx, whole.map(transactionRow)),
    updateCommitted(tx, begun.map(transactionRow)),
  ]
}

/** Whether a batch writes to nothing but namespaces whose writes need not be on disk when they are answered. */
function mayFlushLater({ state, heads, drops, tables, transactions }: Writes): boolean {
  const isOfTables = heads.length + drops.length + tables.length + transactions.length > 0
  return (
    !isOfTables &&
    state.namespaces.length > 0 &&
    state.namespaces.every(({ durability }) => durability === 'async')
  )
}

/** Issues all writes of a batch, in the order in which they must run. */
function write(tx: Tx, writes: Writes): Promise<void>[] {
  return [
    // Dropped tables give names free for those that come back or are new.
    setDropped(
      tx,
      writes.drops.filter(({ isDropped }) => isDropped),
    ),
    setDropped(
      tx,
      writes.drops.filter(({ isDropped }) => !isDropped),
    ),
    ...writes.tables.flatMap((table) => insertNewTable(tx, table)),
    insertCommits(tx, writes.commits),
    endFiles(tx, writes.fileUpdates),
    insertFiles(tx, writes.files),
    ...writes.stages.flatMap((stage) => applyStage(tx, stage)),
    supersedeActions(tx, writes.actionUpdates),
    insertActions(tx, writes.actions),
    updateHeads(tx, writes.heads),
    ...writeState(tx, writes.state),
    ...(mayFlushLater(writes) ? [deferFlush(tx)] : []),
    ...writeTransactions(tx, writes.transactions),
    insertAnswers(tx, writes.answers),
    insertAttempts(tx, writes.attempts),
  ]
}
