import type { Context } from '@opentelemetry/api'
import type { Pool } from '../database/connect.ts'
import { isLockTimeout, toProblem } from '../database/sqlstate.ts'
import type { WriteOutcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import { type CommitOptions, commitBatch, type StageTimes } from './commit-batch.ts'
import type { JudgedOutcome } from './judge.ts'
import type { Unit } from './unit.ts'

/** A unit whose caller waits for an answer. */
export interface SubmittedUnit {
  unit: Unit
  /** By the clock of `performance.now`. */
  submitted: number
  /** The trace in which its stages are told. */
  trace: Context
  resolve: (outcome: WriteOutcome) => void
  reject: (error: unknown) => void
}

/** A unit that was answered. */
export interface SettledUnit extends Pick<SubmittedUnit, 'unit' | 'submitted' | 'trace'> {
  outcome: JudgedOutcome | Problem
}

/** What is told of a batch. */
export interface DurableBatch {
  /** When it went through its stages, by the clock of `performance.now`. */
  times: StageTimes & { begun: number; durable: number }
  units: readonly SettledUnit[]
  changedTables: readonly string[]
  /** By name. */
  changedNamespaces: readonly string[]
}

export interface SettleOptions<U extends SubmittedUnit> extends CommitOptions {
  pool: Pool
  /** Whether to wait for the row of a table that another transaction holds, or to pass by its units. */
  waits: boolean
  /** Whether a wait is likely. */
  expectsWait?: boolean
  /** Called when the batch has waited, or expected to: units that have come meanwhile, to be settled with it. */
  takeIn?: (() => readonly U[]) | undefined
  /** Called once the batch is durable. */
  onBatch: (batch: DurableBatch) => void
}

/** What became of a batch. */
export interface Settled<U extends SubmittedUnit> {
  /** Units that were passed by and have no answer yet. */
  held: readonly U[]
  /** Whether the batch waited for a table. */
  waited: boolean
  /** Whether it did so for as long as it may, in vain. */
  timedOut: boolean
}

/** Commits a batch and answers each of its callers, but for those that are passed by. Never throws. */
export async function settle<U extends SubmittedUnit>(
  units: readonly U[],
  { takeIn, expectsWait = false, ...options }: SettleOptions<U>,
): Promise<Settled<U>> {
  const begun = performance.now()
  const batch = [...units]
  const unitsTakenIn = () => {
    const more = takeIn?.() ?? []
    batch.push(...more)
    return more.map(({ unit }) => unit)
  }
  try {
    const result = await commitBatch(
      options.pool,
      units.map(({ unit }) => unit),
      { ...options, expectsWait, takeIn: unitsTakenIn },
    )
    const { outcomes, times, waited, consistencyToken, ...changed } = result
    const judged: (U & SettledUnit)[] = []
    const held: U[] = []
    for (const one of batch) {
      const outcome = outcomes.get(one.unit)
      if (outcome === undefined) held.push(one)
      else judged.push({ ...one, outcome })
    }
    const durable = performance.now()
    options.onBatch({ times: { ...times, begun, durable }, units: judged, ...changed })
    for (const { outcome, resolve, reject } of judged) {
      if (outcome instanceof Problem) reject(outcome)
      else resolve({ answer: outcome.answer, replayed: outcome.replayed, consistencyToken })
    }
    return { held, waited, timedOut: false }
  } catch (error) {
    return settleFailed(batch, error, options)
  }
}

/**
 * Unless the database is away or busy, the fault may be one unit's, so each gets a batch of its own. What was
 * perhaps committed is not tried again.
 */
async function settleFailed<U extends SubmittedUnit>(
  batch: readonly U[],
  error: unknown,
  options: SettleOptions<U>,
): Promise<Settled<U>> {
  const held: U[] = []
  const mayTryAgain = !(error instanceof Problem) && toProblem(error) === undefined
  if (batch.length > 1 && mayTryAgain) {
    for (const one of batch) held.push(...(await settle([one], options)).held)
  } else if (isLockTimeout(error)) {
    batch.forEach(refuseHeld)
    return { held, waited: true, timedOut: true }
  } else {
    for (const { reject } of batch) reject(error)
  }
  return { held, waited: false, timedOut: false }
}

/** Refuses a unit for which the row of its table was held for too long. */
export function refuseHeld({ reject }: Pick<SubmittedUnit, 'reject'>): void {
  reject(
    new Problem(
      'overloaded',
      'Another transaction has held the table, or a lock that guards the commit, for as long as it may wait. Repeat in a moment.',
      { headers: { 'retry-after': '1' } },
    ),
  )
}
