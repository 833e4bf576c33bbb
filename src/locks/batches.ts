import { setTimeout as sleep } from 'node:timers/promises'
import { Gathering } from '../commits/gathering.ts'
import { type Batch, Lanes, type Turn } from '../commits/lanes.ts'
import type { Pool } from '../database/connect.ts'
import { isLockTimeout, toProblem } from '../database/sqlstate.ts'
import { Problem } from '../problems.ts'
import type { Demand, Verdict } from './judge.ts'
import { type KeepOptions, type KeptBatch, keepBatch, keyOf, type Placed } from './keep-batch.ts'
import type { LockName } from './rows.ts'

/** The verdict on a demand, which is durable. */
export interface Kept {
  verdict: Verdict
  consistencyToken: string | undefined
}

/** Takes demands on locks, and does them in batches. */
export interface Batches {
  /** Throws a `Problem` when there is no verdict: too much is waiting, the lock is held up, or the database is away. */
  submit: (lock: LockName, demand: Demand) => Promise<Kept>
  /** Demands that wait for their batch, and those in batches in flight. */
  counts: () => { waiting: number; inFlight: number }
  /** Settles when every demand has its verdict. */
  idle: () => Promise<void>
  /** Has all locks looked up anew: another primary may lack those that this one made last. */
  forget: () => void
}

export interface BatchesOptions extends Omit<KeepOptions, 'skipHeld' | 'ids'> {
  pool: Pool
  /** Demands that may wait at most. */
  queueMax: number
  /** Called once a batch is durable, before its verdicts are told. */
  onBatch: (batch: KeptBatch<Placed>) => void
}

interface Submitted extends Placed, Turn {
  resolve: (kept: Kept) => void
  reject: (error: unknown) => void
}

class Failure {
  readonly error: unknown

  constructor(error: unknown) {
    this.error = error
  }
}

const limits = { batchesMax: 3, quickMax: 2, aloneMax: 1, unitsMax: 1000, actionsMax: 1000 }
const heldRetryMs = 20
const idsMax = 100_000

/**
 * A demand waits in the lane of its lock, is taken into a batch when that is free, and has its verdict when the batch is
 * durable. While batches are in flight the next one gathers, as the committer does it.
 */
export function createBatches({ pool, queueMax, onBatch, ...keeping }: BatchesOptions): Batches {
  const lanes = new Lanes<Submitted>(limits)
  const gathering = new Gathering()
  const ids = new Map<string, number>()
  const idlers: (() => void)[] = []
  let isWoken = false
  let gatherer: NodeJS.Timeout | undefined
  let isTrying = false

  /** All that arrives in this turn of the event loop may go into the same batch. */
  function wake(): void {
    if (!isWoken) setImmediate(start)
    isWoken = true
  }

  function start(): void {
    isWoken = false
    clearTimeout(gatherer)
    const waitMs = gathering.waitMs(lanes.waiting, performance.now())
    if (waitMs > 0) {
      gatherer = setTimeout(start, waitMs)
      return
    }
    for (let batch = lanes.take(); batch !== undefined; batch = lanes.take()) void run(batch)
  }

  async function run(batch: Batch<Submitted>): Promise<void> {
    const begun = performance.now()
    const held = await settle(batch.turns, batch.kind === 'quick').catch((error) => {
      if (!isLockTimeout(error)) throw error
      for (const turn of [...batch.turns, ...lanes.giveUpHeld(batch)]) turn.reject(heldUp(error))
      return []
    })
    const now = performance.now()
    gathering.answered({ units: batch.turns.length, ms: now - begun }, now)
    lanes.finish(batch, held)
    if (held.length > 0) void tryHeld()
    if (lanes.isIdle) for (const resolve of idlers.splice(0)) resolve()
    else wake()
  }

  /** Answers all demands but those whose locks were passed by, which it tells. Throws where a lock was held for too long. */
  async function settle(turns: readonly Submitted[], skipHeld: boolean): Promise<Submitted[]> {
    if (ids.size > idsMax) ids.clear()
    const kept = await keepBatch(pool, turns, { ...keeping, ids, skipHeld }).catch((error) => {
      if (isLockTimeout(error)) throw error
      return new Failure(error)
    })
    if (kept instanceof Failure) return retry(turns, kept, skipHeld)
    onBatch(kept)
    const { verdicts, consistencyToken } = kept
    for (const [turn, verdict] of verdicts) turn.resolve({ verdict, consistencyToken })
    const held = turns.filter((turn) => !verdicts.has(turn))
    if (skipHeld || held.length === 0) return held
    ids.clear()
    for (const { lock, reject } of held) reject(unknownLock(lock))
    return []
  }

  /** Unless the database is away or busy, the fault may be one demand's, so each gets a batch of its own. */
  async function retry(
    turns: readonly Submitted[],
    { error }: Failure,
    skipHeld: boolean,
  ): Promise<Submitted[]> {
    if (turns.length > 1 && toProblem(error) === undefined) {
      return (await Promise.all(turns.map((turn) => settle([turn], skipHeld)))).flat()
    }
    for (const { reject } of turns) reject(error)
    return []
  }

  async function tryHeld(): Promise<void> {
    if (isTrying) return
    isTrying = true
    for (await sleep(heldRetryMs); lanes.tryHeld(); await sleep(heldRetryMs)) start()
    isTrying = false
  }

  return {
    submit: (lock, demand) =>
      new Promise((resolve, reject) => {
        if (lanes.waiting >= queueMax) return reject(tooMany(lanes.waiting))
        lanes.add({
          lock,
          demand,
          tables: [keyOf(lock)],
          actions: 1,
          isAlone: false,
          resolve,
          reject,
        })
        wake()
      }),
    counts: () => ({ waiting: lanes.waiting, inFlight: lanes.inFlight }),
    idle: async () => {
      if (!lanes.isIdle) await new Promise<void>((resolve) => idlers.push(resolve))
    },
    forget: () => ids.clear(),
  }
}

const retryAfter = { headers: { 'retry-after': '1' } }

function tooMany(count: number): Problem {
  return new Problem(
    'overloaded',
    `${count} requests for locks are waiting already. Repeat in a moment.`,
    retryAfter,
  )
}

function heldUp(cause: unknown): Problem {
  return new Problem(
    'overloaded',
    'A write that the lock guards has held it up for as long as a request may wait. Repeat in a moment.',
    { ...retryAfter, cause },
  )
}

function unknownLock({ name }: LockName): Problem {
  return new Problem(
    'database-unavailable',
    `PostgreSQL does not know the lock ${name} any more; another primary may have taken over. Repeat.`,
    retryAfter,
  )
}
