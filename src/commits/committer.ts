import { setImmediate } from 'node:timers/promises'
import type { Pool } from '../database/connect.ts'
import { toProblem } from '../database/sqlstate.ts'
import type { Outcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import { type BatchResult, checkUnit, commitBatch } from './commit-batch.ts'
import type { Unit } from './unit.ts'

/** Commits units of work, many in one PostgreSQL transaction. */
export interface Committer {
  /**
   * Answers when the unit is durable or refused. Throws a `Problem` when there is no verdict: too much is
   * waiting, or the database is away.
   */
  submit: (unit: Unit) => Promise<Outcome>
  /** The outcome that the unit would have now; nothing is written. */
  check: (unit: Unit) => Promise<Outcome>
  /** Units that wait for their batch. */
  waiting: () => number
  /** Settles when every unit that was submitted has its answer, also those whose caller has gone. */
  idle: () => Promise<void>
}

export interface CommitterOptions {
  pool: Pool
  /** Units that may wait at most. */
  queueCommitsMax: number
  /** A batch is closed once it holds this many actions. */
  batchActionsMax: number
  idempotencyRetentionMs: number
  /** Called once a batch is durable. */
  onBatch: (batch: DurableBatch) => void
}

/** What is told of a batch. */
export interface DurableBatch {
  /** Time that its database transaction took. */
  seconds: number
  /** For each unit, the time from its submission. */
  unitSeconds: readonly number[]
  changedTables: readonly string[]
}

interface Waiting {
  unit: Unit
  /** By the clock of `performance.now`. */
  submitted: number
  resolve: (outcome: Outcome) => void
  reject: (error: unknown) => void
}

const batchUnitsMax = 1000

/** While one batch is in flight the next one gathers, so batches grow with the load. */
export function createCommitter(options: CommitterOptions): Committer {
  const queue: Waiting[] = []
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    // All that has arrived in this turn of the event loop goes into the first batch.
    await setImmediate()
    while (queue.length > 0) await settle(takeBatch(queue, options.batchActionsMax), options)
    running = undefined
  }

  return {
    async check(unit) {
      const outcome = await checkUnit(options.pool, unit)
      if (outcome instanceof Problem) throw outcome
      return outcome
    },
    waiting: () => queue.length,
    idle: async () => running,
    submit: (unit) =>
      new Promise((resolve, reject) => {
        if (queue.length >= options.queueCommitsMax) return reject(tooManyWaiting(queue.length))
        queue.push({ unit, submitted: performance.now(), resolve, reject })
        running ??= run()
      }),
  }
}

function takeBatch(queue: Waiting[], actionsMax: number): Waiting[] {
  let count = 0
  let actions = 0
  for (const { unit } of queue) {
    if (count === batchUnitsMax || (count > 0 && actions >= actionsMax)) break
    count += 1
    for (const part of unit.parts) actions += part.proposal.actions.length
  }
  return queue.splice(0, count)
}

/** Commits a batch and answers each of its callers. Never throws. */
async function settle(batch: readonly Waiting[], options: CommitterOptions): Promise<void> {
  const started = performance.now()
  try {
    const units = batch.map(({ unit }) => unit)
    const result = await commitBatch(options.pool, units, options)
    const now = performance.now()
    options.onBatch({
      seconds: (now - started) / 1000,
      unitSeconds: batch.map(({ submitted }) => (now - submitted) / 1000),
      changedTables: result.changedTables,
    })
    answer(batch, result)
  } catch (error) {
    // Unless the database is away or busy, the fault may be one unit's, so each gets a batch of its own. What was
    // perhaps committed is not tried again.
    const mayTryAgain = !(error instanceof Problem) && toProblem(error) === undefined
    if (batch.length > 1 && mayTryAgain) {
      for (const one of batch) await settle([one], options)
    } else {
      for (const { reject } of batch) reject(error)
    }
  }
}

function answer(batch: readonly Waiting[], { outcomes }: BatchResult): void {
  for (const [index, { resolve, reject }] of batch.entries()) {
    const outcome = outcomes[index]
    if (outcome === undefined || outcome instanceof Problem) reject(outcome)
    else resolve(outcome)
  }
}

function tooManyWaiting(count: number): Problem {
  return new Problem('overloaded', `${count} commits are waiting already. Repeat in a moment.`, {
    headers: { 'retry-after': '1' },
  })
}
