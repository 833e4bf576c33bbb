import { randomUUID } from 'node:crypto'
import { Problem } from '../problems.ts'
import type { BatchesOptions } from './batches.ts'
import { createBatches } from './batches.ts'
import { type DeadlockOptions, endDeadlocks } from './deadlocks.ts'
import type { Change, Verdict } from './judge.ts'
import type { KeptBatch, Placed } from './keep-batch.ts'
import { createRenewals } from './renewals.ts'
import type { Asking, Holder, LockMode, LockName } from './rows.ts'
import { createWaiters, type Waiter, type WaitersOptions } from './waiters.ts'

/** Keeps locks and elections: leases by the clock of the database, each with a token that rises with every grant. */
export interface Keeper {
  /**
   * Asks for a lock, and waits for it for as long as it may. Who has it already gets the same token, and a lease that runs
   * for at least as long as he says now. Throws a `Problem` when that cannot be told: too much is waiting, the server
   * stops, the database is away. What was granted in spite of that is granted again, with the same token, when the holder
   * repeats.
   */
  acquire: (acquisition: Acquisition) => Promise<Acquired>
  /** Has a lease begin anew; undefined where it was lost. */
  renew: (lease: Lease & { ttlMs?: number | undefined }) => Promise<Holder | undefined>
  /** Has a lease begin anew, with other metadata, of which an event tells; undefined where it was lost. */
  change: (lease: LockName & Change) => Promise<Done<Holder | undefined>>
  /** Gives a lock free; who waits for it has it by then. False where the lease was lost before. */
  release: (lease: Lease) => Promise<Done<boolean>>
  /** Throws out all who have the lock; answers those that had it. */
  force: (lock: LockName) => Promise<Done<readonly Holder[]>>
  /** Grants a lock to whoever may have it now, where it was let expire. */
  settle: (lock: LockName) => Promise<void>
  counts: () => { waiting: number; inFlight: number; waiters: number }
  /** Has all locks looked up anew: another primary may lack those that this one made last. */
  forget: () => void
  /** Ends all waits. */
  endWaits: () => Promise<void>
  /** Settles when everything that was asked for has its answer. */
  idle: () => Promise<void>
}

/** What is asked for. Times in milliseconds, which the caller has bounded. */
export interface Acquisition extends LockName {
  holder: string
  ttlMs: number
  /** Exclusive by default. */
  mode?: LockMode
  /** For how long it may wait; not at all by default. */
  waitMs?: number
  /** From 0, the default, to 9: who has the higher one goes first. */
  priority?: number
  /** For how long nobody gets the lock after this holder has let it expire; 0 by default. */
  lockDelayMs?: number
  /** As JSON. */
  metadata?: string | null
  /** Aborted when nobody wants the answer any more: it waits no more then, and a lock that it is granted is given free. */
  signal?: AbortSignal
}

/** Something that is held, as its holder names it. */
export interface Lease extends LockName {
  holder: string
  token: number
}

export interface Done<Result> {
  result: Result
  consistencyToken: string | undefined
}

/** What a request for a lock came to. */
export type Acquired = Extract<
  Verdict,
  { kind: 'granted' | 'held' | 'other-mode' | 'deadlock' }
> & { consistencyToken: string | undefined }

/** How a wait can end. */
export type WaitResult = 'granted' | 'held' | 'deadlock' | 'broken-off'

export interface KeeperOptions
  extends Omit<BatchesOptions, 'onBatch' | 'isHere'>,
    Omit<WaitersOptions, 'onDue' | 'onLongWaits'>,
    Pick<DeadlockOptions, 'onDeadlock'> {
  /** Told of each batch once it is durable. */
  onBatch: (batch: KeptBatch<Placed>) => void
  /** Told of each wait when it is over. */
  onWait: (wait: LockName & { holder: string; seconds: number; result: WaitResult }) => void
}

export function createKeeper(options: KeeperOptions): Keeper {
  const { onBatch, onWait, onDeadlock } = options
  const renewals = createRenewals(options.db)
  const batches = createBatches({
    ...options,
    isHere: (requestId) => waiters.isHere(requestId),
    onBatch(batch) {
      waiters.grant(batch)
      onBatch(batch)
    },
  })
  const settle = async ({ kind, name }: LockName) => {
    await batches.submit({ kind, name }, { kind: 'settle' })
  }
  const { submit } = batches
  const waiters = createWaiters({
    ...options,
    onLongWaits: (requestIds) => endDeadlocks({ db: options.db, submit, onDeadlock }, requestIds),
    onDue: async (locks) => {
      await Promise.all(locks.map(settle))
    },
  })

  async function acquire(acquisition: Acquisition): Promise<Acquired> {
    const { kind, name, waitMs = 0, signal } = acquisition
    const asked = { lock: { kind, name }, asking: askingOf(acquisition), deadline: now() + waitMs }
    const acquired =
      waitMs > 0
        ? await acquireWaiting({ ...asked, signal })
        : told(
            await batches.submit(asked.lock, {
              kind: 'acquire',
              asking: asked.asking,
              waits: false,
            }),
          )
    if (signal?.aborted && acquired.kind === 'granted') void abandon(asked)
    return acquired
  }

  async function acquireWaiting(asked: Asked & { signal: AbortSignal | undefined }) {
    const { lock, asking, signal } = asked
    const waiter = waiters.enter(asking.requestId)
    signal?.addEventListener('abort', waiter.breakOff)
    if (signal?.aborted) waiter.breakOff()
    const started = now()
    let result: WaitResult = 'broken-off'
    let hasWaited = false
    try {
      for (;;) {
        const kept = await batches.submit(lock, { kind: 'acquire', asking, waits: true })
        hasWaited ||= kept.verdict.kind === 'waits'
        const acquired = kept.verdict.kind === 'waits' ? await waitFor(asked, waiter) : told(kept)
        if (acquired === undefined) continue
        result = acquired.kind === 'other-mode' ? 'held' : acquired.kind
        return acquired
      }
    } finally {
      signal?.removeEventListener('abort', waiter.breakOff)
      waiter.leave()
      const { holder } = asking
      if (hasWaited) onWait({ ...lock, holder, seconds: (now() - started) / 1000, result })
    }
  }

  /** Answers nothing where the request has lost its place, and should line up again. */
  async function waitFor(asked: Asked, waiter: Waiter): Promise<Acquired | undefined> {
    const { lock, asking, deadline } = asked
    const end = await waiter.end(Math.max(0, deadline - now()))
    if (typeof end === 'object') return { kind: 'granted', ...end }
    const isUnwanted = end === 'gone' || end === 'stopped'
    if (isUnwanted) {
      await abandon(asked)
      throw brokenOff()
    }
    const { requestId, holder } = asking
    const left = await batches.submit(lock, { kind: 'leave', requestId, holder, isUnwanted })
    const isLost = left.verdict.kind === 'held' && end === 'look' && now() < deadline
    return isLost ? undefined : told(left)
  }

  /** What cannot be forgotten now soon counts no more, for nobody renews it. */
  async function abandon({ lock, asking: { requestId, holder } }: Asked): Promise<void> {
    await batches
      .submit(lock, { kind: 'leave', requestId, holder, isUnwanted: true })
      .catch(() => {})
  }

  return {
    acquire,
    renew: ({ kind, name, holder, token, ttlMs }) =>
      renewals.renew({ kind, name, holder, token, ttlMs }),
    async change({ kind, name, ...change }) {
      const { verdict, ...more } = await batches.submit(
        { kind, name },
        { kind: 'change', ...change },
      )
      return { result: verdict.kind === 'granted' ? verdict.grant : undefined, ...more }
    },
    async release({ kind, name, holder, token }) {
      const { verdict, ...more } = await batches.submit(
        { kind, name },
        { kind: 'release', holder, token },
      )
      return { result: verdict.kind === 'freed', ...more }
    },
    async force({ kind, name }) {
      const { verdict, ...more } = await batches.submit({ kind, name }, { kind: 'force' })
      return { result: verdict.kind === 'freed' ? verdict.holders : [], ...more }
    },
    settle,
    counts: () => ({ ...batches.counts(), waiters: waiters.count() }),
    forget: batches.forget,
    endWaits: waiters.stop,
    async idle() {
      await renewals.idle()
      await batches.idle()
    },
  }
}

interface Asked {
  lock: LockName
  asking: Asking
  deadline: number
}

function askingOf(acquisition: Acquisition): Asking {
  const { holder, ttlMs, mode = 'exclusive', priority = 0 } = acquisition
  const { lockDelayMs = 0, metadata = null } = acquisition
  return { requestId: randomUUID(), holder, mode, priority, ttlMs, lockDelayMs, metadata }
}

function told({
  verdict,
  consistencyToken,
}: {
  verdict: Verdict
  consistencyToken: string | undefined
}): Acquired {
  switch (verdict.kind) {
    case 'granted':
    case 'held':
    case 'other-mode':
    case 'deadlock':
      return { ...verdict, consistencyToken }
    default:
      throw new Error(`a request for a lock came to "${verdict.kind}"`)
  }
}

function now(): number {
  return performance.now()
}

function brokenOff(): Problem {
  return new Problem('overloaded', 'The wait was broken off, for the server stops. Repeat.', {
    headers: { 'retry-after': '1' },
  })
}
