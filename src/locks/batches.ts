import { setTimeout as sleep } from 'node:timers/promises'
import { Gathering } from '../commits/gathering.ts'
import { type Batch, Lanes, type Turn } from '../commits/lanes.ts'
import type { Pool } from '../database/connect.ts'
import { isLockTimeout, toProblem } from '../database/sqlstate.ts'
import { Problem } from '../problems.ts'
import type { Demand, Verdict } from './judge.ts'
import {
  type KeepOptions,
  type KeptBatch,
  keepBatch,
  keepKnown,
  type Placed,
} from './keep-batch.ts'
import { KnownLocks } from './known-locks.ts'
import { keyOf, type LockName } from './rows.ts'

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

export interface BatchesOptions extends Omit<KeepOptions, 'known'> {
  pool: Pool
  /** Demands that may wait at most. */
  queueMax: number
  /** Whether a request waits at this server. */
  isHere: (requestId: string) => boolean
  /** Called once a batch is durable, before its verdicts are told. */
  onBatch: (batch: KeptBatch<Placed>) => void
}

interface Submitted extends Placed, Turn {
  resolve: (kept: Kept) => void
  reject: (error: unknown) => void
}

const limits = { batchesMax: 3, quickMax: 2, aloneMax: 1, unitsMax: 1000, actionsMax: 1000 }
const heldRetryMs = 20
/** To line up is not urgent where nobody gets the lock before another gives it free. */
const lineUpMs = 3

/**
 * A demand waits in the lane of its lock, is taken into a batch when that is free, and has its verdict when the batch is
 * durable. While batches are in flight the next one gathers, as the committer does it.
 */
export function createBatches(options: BatchesOptions): Batches {
  const { pool, queueMax, onBatch, isHere } = options
  const lanes = new Lanes<Submitted>(limits)
  const gathering = new Gathering()
  const known = new KnownLocks(isHere)
  const keeping = { ...options, known }
  const linedUp = new Map<string, Submitted[]>()
  const idlers: (() => void)[] = []
  let isWoken = false
  let gatherer: NodeJS.Timeout | undefined
  let isTrying = false
  let lineUp: NodeJS.Timeout | undefined

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
    let left = [...turns]
    try {
      left = tell(left, await keepKnown(pool, left, keeping))
      if (left.length === 0) return []
      left = tell(left, await keepBatch(pool, left, { ...keeping, skipHeld }))
    } catch (error) {
      return recover(left, { error, skipHeld })
    }
    if (skipHeld || left.length === 0) return left
    known.clear()
    for (const { lock, reject } of left) reject(unknownLock(lock))
    return []
  }

  /** Answers the demands that have a verdict by now, and leaves the others. */
  function tell(turns: Submitted[], kept: KeptBatch<Submitted> | undefined): Submitted[] {
    if (kept === undefined) return turns
    onBatch(kept)
    const { verdicts, consistencyToken } = kept
    for (const [turn, verdict] of verdicts) turn.resolve({ verdict, consistencyToken })
    return turns.filter((turn) => !verdicts.has(turn))
  }

  /** Unless the database is away or busy, the fault may be one demand's, so each gets a batch of its own. */
  async function recover(
    turns: readonly Submitted[],
    { error, skipHeld }: { error: unknown; skipHeld: boolean },
  ): Promise<Submitted[]> {
    if (isLockTimeout(error)) throw error
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

  function add(turn: Submitted): void {
    lanes.add(turn)
    wake()
  }

  function addLinedUp(key: string): void {
    for (const turn of linedUp.get(key) ?? []) add(turn)
    linedUp.delete(key)
  }

  function addAllLinedUp(): void {
    clearTimeout(lineUp)
    lineUp = undefined
    for (const key of linedUp.keys()) addLinedUp(key)
  }

  function submit(key: string, turn: Submitted): void {
    const { demand } = turn
    const mayTarry =
      demand.kind === 'acquire' && demand.waits && known.isHeldBeside(key, demand.asking)
    if (mayTarry) {
      linedUp.set(key, [...(linedUp.get(key) ?? []), turn])
      lineUp ??= setTimeout(addAllLinedUp, lineUpMs)
    } else {
      addLinedUp(key)
      add(turn)
    }
  }

  return {
    submit: (lock, demand) =>
      new Promise((resolve, reject) => {
        if (lanes.waiting >= queueMax) return reject(tooMany(lanes.waiting))
        const key = keyOf(lock)
        const turn = { tables: [key], actions: 1, isAlone: false }
        submit(key, { ...turn, lock, demand, resolve, reject })
      }),
    counts: () => ({ waiting: lanes.waiting, inFlight: lanes.inFlight }),
    idle: async () => {
      addAllLinedUp()
      if (!lanes.isIdle) await new Promise<void>((resolve) => idlers.push(resolve))
    },
    forget: () => known.clear(),
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
