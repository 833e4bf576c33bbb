import type { Pool, Tx } from '../database/connect.ts'
import { inPipelinedTransaction, type PipelineSettings } from '../database/pipeline.ts'
import { insertAnswers } from '../idempotency/queries.ts'
import type { Outcome } from '../idempotency/rules.ts'
import { keyOf } from '../locks/rows.ts'
import { Problem } from '../problems.ts'
import { insertAttempts } from '../runs/number-queries.ts'
import { deferFlush, writeState } from '../state/queries.ts'
import { insertNewTable } from '../tables/insert-new-table.ts'
import { setDropped, updateHeads } from '../tables/queries.ts'
import { insertTransactions } from '../transactions/queries.ts'
import { clearReserved } from '../transactions/reservations/queries.ts'
import { updateCommitted } from '../transactions/staged/queries.ts'
import { transactionRow } from '../transactions/transaction-json.ts'
import { type JudgedOutcome, judgeBatch, type KeyState } from './judge.ts'
import type { BatchState } from './ledger.ts'
import { lockAndRead, type Waiting } from './lock-and-read.ts'
import { endFiles, insertActions, insertCommits, insertFiles, supersedeActions } from './queries.ts'
import type { Writes } from './rows.ts'
import { applyStage } from './staged/queries.ts'
import { surveyStages } from './staged/survey.ts'
import { fencesOf, partsOf } from './touched.ts'
import type { CommittedTransaction, Part, Unit } from './unit.ts'

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
 * A table, namespace or lock whose row another transaction holds is waited for if `waits`; else its units are passed by.
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
    const judged = found.units.filter((unit) => isFree(unit, held))
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

/** Whether nothing that the unit needs is held by another transaction. */
function isFree(unit: Unit, held: ReadonlySet<string | number>): boolean {
  const { parts, state = [] } = unit
  return (
    parts.every(({ table }) => !held.has(table)) &&
    state.every(({ namespaceId }) => !held.has(namespaceId)) &&
    fencesOf(unit).every((fence) => !held.has(keyOf(fence)))
  )
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
