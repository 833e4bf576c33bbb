import type { Pool, Tx } from '../database/connect.ts'
import { inPipelinedTransaction, type PipelineSettings } from '../database/pipeline.ts'
import { claimKeys, findAnswers, insertAnswers, keysOf } from '../idempotency/queries.ts'
import type { Outcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import { findExisting, lockHeads, updateHeads } from '../tables/queries.ts'
import { isTableId } from '../tables/rules.ts'
import { judgeBatch, type KeyState } from './judge.ts'
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
  filesTouched,
  type PlacedPart,
  placeParts,
  relyingOnRowIds,
  takenVersions,
  winnersWanted,
} from './touched.ts'
import type { Part, Unit } from './unit.ts'
import { findAppTransactions, findReadStates, listWinners } from './winners.ts'

/** What became of a batch. */
export interface BatchResult {
  /** An outcome or a refusal for each unit, but for those that were passed by. */
  outcomes: Map<Unit, Outcome | Problem>
  /** The tables that have a new version. */
  changedTables: string[]
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
  { idempotencyRetentionMs, bulkMsMax, waits }: CommitOptions & { waits: boolean },
): Promise<BatchResult> {
  const parts = units.flatMap((unit) => unit.parts)
  const keys = keysOf(units.map((unit) => unit.idempotent))
  let isCommitting = false
  const work = async (tx: Tx) => {
    const reading = { parts, keys, idempotencyRetentionMs, waits }
    const { state, keyState, held } = await lockAndRead(tx, reading)
    const judged = units.filter((unit) => unit.parts.every(({ table }) => !held.has(table)))
    const { outcomes, writes } = await surveyAndJudge(tx, judged, { state, keyState })
    isCommitting = true
    const result = {
      outcomes: new Map(judged.map((unit, index) => [unit, outcomes[index] as Outcome | Problem])),
      changedTables: writes.heads.map((head) => head.id),
    }
    return { result, writes: write(tx, writes) }
  }
  const settings = settingsFor(parts, bulkMsMax)
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
  const { parts } = unit
  const alone = { ...unit, idempotent: undefined }
  const work = async (tx: Tx) => {
    const reading = { parts, keys: [], idempotencyRetentionMs: 0, waits: true }
    const { outcomes } = await surveyAndJudge(tx, [alone], await lockAndRead(tx, reading))
    return { result: outcomes, writes: [] }
  }
  const settings = settingsFor(parts, bulkMsMax)
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
  const parts = units.flatMap((unit) => (isKnown(unit) ? [] : unit.parts))
  const surveys = await surveyStages(tx, parts, state)
  return judgeBatch(units, { ...state, surveys }, keyState)
}

interface Reading {
  parts: readonly Part[]
  keys: readonly string[]
  idempotencyRetentionMs: number
  waits: boolean
}

/**
 * Locks what the verdicts depend on, and reads it under the locks, in as few journeys as can be. Answers as well
 * the tables that were held, which it did not lock.
 */
async function lockAndRead(
  tx: Tx,
  { parts, keys, idempotencyRetentionMs, waits }: Reading,
): Promise<{ state: BatchState; keyState: KeyState; held: ReadonlySet<string> }> {
  const tables = [...new Set(parts.map((part) => part.table))]
  // Statements run in the order in which they are issued: the locks first.
  const claiming = claimKeys(tx, keys)
  const locking = lockHeads(tx, tables, { skipHeld: !waits })
  const finding = findAnswers(tx, keys, idempotencyRetentionMs)
  // Tables that are named by id can be read at once; those named by name are only known when locked.
  const byId = parts.every((part) => isTableId(part.table))
  const early = byId ? readTouched(tx, placeParts(parts, [])) : undefined
  const [busy, { heads, now }, kept, read] = await Promise.all([claiming, locking, finding, early])
  const placed = placeParts(parts, heads)
  const { winners, appTransactions, ...touched } = read ?? (await readTouched(tx, placed))
  const [takers, readStates, held] = await Promise.all([
    findCommits(tx, [...takenVersions(placed, heads), ...carriersOf(appTransactions)]),
    findReadStates(tx, changedReads(placed, winners ?? [])),
    waits ? new Set<string>() : findExisting(tx, unlocked(tables, heads)),
  ])
  const state = { now, heads, takers, winners, readStates, appTransactions, ...touched }
  return { state, keyState: { busy, kept }, held }
}

/** The tables that are none of the heads: they are held, or not there. */
function unlocked(tables: readonly string[], heads: readonly Head[]): string[] {
  const locked = new Set(heads.flatMap(({ id, name }) => [id, name]))
  return tables.filter((table) => !locked.has(table))
}

/** Reads what the parts touch: live files, commits since the versions read, app transactions. */
async function readTouched(tx: Tx, parts: readonly PlacedPart[]) {
  const [liveFiles, winners, appTransactions, filesWithoutRowIds] = await Promise.all([
    findLiveFiles(tx, filesTouched(parts)),
    listWinners(tx, winnersWanted(parts)),
    findAppTransactions(tx, appTransactionsAsked(parts)),
    countFilesWithoutRowIds(tx, relyingOnRowIds(parts)),
  ])
  return { liveFiles, winners, appTransactions, filesWithoutRowIds }
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

/** Issues all writes of a batch, in the order in which they must run. */
function write(tx: Tx, writes: Writes): Promise<void>[] {
  return [
    insertCommits(tx, writes.commits),
    endFiles(tx, writes.fileUpdates),
    insertFiles(tx, writes.files),
    ...writes.stages.flatMap((stage) => applyStage(tx, stage)),
    supersedeActions(tx, writes.actionUpdates),
    insertActions(tx, writes.actions),
    updateHeads(tx, writes.heads),
    insertAnswers(tx, writes.answers),
  ]
}
