import type { Pool, Tx } from '../database/connect.ts'
import { inOneJourney, inPipelinedTransaction } from '../database/pipeline.ts'
import { type Demand, type FoundLock, type Judged, judgeLock, type Verdict } from './judge.ts'
import type { KnownLocks } from './known-locks.ts'
import { lockAndRead } from './lock-and-read.ts'
import { findLocks, makeLocks, type WritesOfLock, writeLocks } from './queries.ts'
import { keyOf, type LockEvent, type LockName, type Tell } from './rows.ts'

/** A demand on a lock. */
export interface Placed {
  lock: LockName
  demand: Demand
}

export interface KeepOptions {
  known: KnownLocks
  /** Holders that may share a lock. */
  holdersMax: number
  /** For how long who waits is taken to live without a sign of its server. */
  aliveMs: number
  tell: Tell
}

/** What became of a batch. */
export interface KeptBatch<P extends Placed> {
  /** For each demand, but for those on locks that were passed by. */
  verdicts: Map<P, Verdict>
  /** Requests that had waited, at whatever server, and were granted their lock. */
  granted: Judged['granted']
  /** What happened, by kind of lock. Instants by the clock of the database, which said `now`. */
  events: { kind: LockName['kind']; event: LockEvent }[]
  now: number
  /** The locks that have events. */
  changed: (LockName & { id: number })[]
  consistencyToken: string | undefined
}

/** The demands on one lock, and what they came to. */
interface JudgedLock<P extends Placed> extends Judged {
  key: string
  lockId: number
  lock: LockName
  placed: readonly P[]
}

/**
 * Does a batch of demands in one PostgreSQL transaction: lock, read, judge, write. The number of statements does not
 * depend on the number of demands, locks, holders or waiters. With `skipHeld` locks whose rows another transaction holds
 * are passed by. When it throws, nothing of it is done, or it is not known.
 */
export async function keepBatch<P extends Placed>(
  pool: Pool,
  batch: readonly P[],
  { known, holdersMax, aliveMs, tell, skipHeld }: KeepOptions & { skipHeld: boolean },
): Promise<KeptBatch<P>> {
  const byLock = Map.groupBy(batch, ({ lock }) => keyOf(lock))
  const made = new Map<string, number>()
  for (const key of byLock.keys()) known.forgetState(key)
  const { result, consistencyToken } = await inPipelinedTransaction(pool, async (tx) => {
    const ids = await idsOf(tx, byLock, { known, made })
    const { locks, ...clock } = await lockAndRead(tx, [...ids.values()], { batch, skipHeld })
    const judged = [...byLock].flatMap(([key, placed]) => {
      const lockId = ids.get(key)
      const lock = lockId === undefined ? neverHeld : locks.get(key)
      return lock === undefined ? [] : judgeAll(key, placed, { lock, holdersMax, ...clock })
    })
    const writes = judged.flatMap(writesOf)
    const settings = { timeline: clock.timeline, aliveMs, tell }
    return {
      result: { judged, clock },
      writes: writes.length === 0 ? [] : [writeAll(tx, writes, settings)],
    }
  })
  for (const [key, id] of made) known.keepId(key, id)
  const { judged, clock } = result
  known.keepClock(clock)
  const { timeline } = clock
  for (const { key, after, lockId } of judged) {
    if (lockId !== 0) known.keep(key, { lock: after, timeline })
  }
  return summarize(judged, { now: clock.now, consistencyToken })
}

/**
 * Does those demands that can be judged on what is known of their locks: they cost one journey instead of two. Demands
 * on other locks are left out, and those on locks that have changed meanwhile, by whomever.
 */
export async function keepKnown<P extends Placed>(
  pool: Pool,
  batch: readonly P[],
  { known, holdersMax, aliveMs, tell }: KeepOptions,
): Promise<KeptBatch<P> | undefined> {
  const clock = known.clock()
  if (clock === undefined) return undefined
  const byLock = Map.groupBy(batch, ({ lock }) => keyOf(lock))
  const judged = [...byLock].flatMap(([key, placed]) => {
    const lock = known.find(key, clock)
    if (lock === undefined || !placed.every((each) => isForKnown(each, lock))) return []
    const one = judgeAll(key, placed, { lock, holdersMax, ...clock })
    return one.writes.row !== undefined && one.verdicts.every(isSure) ? one : []
  })
  if (judged.length === 0) return undefined
  for (const { key } of judged) known.forgetState(key)
  const settings = { timeline: clock.timeline, aliveMs, tell }
  const { result, consistencyToken } = await inOneJourney(pool, (tx) =>
    writeLocks(tx, judged.flatMap(writesOf), settings),
  )
  known.keepClock({ ...clock, now: result.now })
  const done = judged.filter(({ lockId }) => result.lockIds.has(lockId))
  const { timeline } = clock
  for (const { key, after } of done) known.keep(key, { lock: after, timeline })
  return summarize(done, { now: clock.now, consistencyToken })
}

/** What is asked in haste. All else is rare, and judged on what is found: so is who asks for what it has, which may have run out. */
function isForKnown({ demand }: Placed, { holders }: FoundLock): boolean {
  if (demand.kind !== 'acquire') return demand.kind === 'release'
  return holders.every(({ holder }) => holder !== demand.asking.holder)
}

/** What is refused, is refused on what is found. */
function isSure({ kind }: Verdict): boolean {
  return kind === 'granted' || kind === 'waits' || kind === 'freed'
}

function judgeAll<P extends Placed>(
  key: string,
  placed: readonly P[],
  { lock, ...settings }: { lock: FoundLock; holdersMax: number; now: number; timeline: number },
): JudgedLock<P> {
  const [first] = placed
  if (first === undefined) throw new Error('a lock is judged without a demand')
  const judged = judgeLock(
    lock,
    placed.map(({ demand }) => demand),
    settings,
  )
  return { ...judged, key, lockId: lock.id, lock: first.lock, placed }
}

function writesOf({ writes, lockId, lock }: JudgedLock<Placed>): WritesOfLock[] {
  return writes.row === undefined ? [] : [{ ...writes, lockId, topic: lock.kind }]
}

/** The rows are locked, so nothing can have changed. */
async function writeAll(
  tx: Tx,
  writes: readonly WritesOfLock[],
  settings: Parameters<typeof writeLocks>[2],
): Promise<void> {
  const { lockIds } = await writeLocks(tx, writes, settings)
  if (lockIds.size < writes.length) throw new Error('a lock has changed while its row was locked')
}

function summarize<P extends Placed>(
  judged: readonly JudgedLock<P>[],
  { now, consistencyToken }: { now: number; consistencyToken: string | undefined },
): KeptBatch<P> {
  const verdicts = new Map<P, Verdict>()
  for (const one of judged) {
    for (const [index, each] of one.placed.entries()) {
      verdicts.set(each, one.verdicts[index] as Verdict)
    }
  }
  return {
    verdicts,
    granted: judged.flatMap(({ granted }) => granted),
    events: judged.flatMap(({ lock: { kind }, writes }) =>
      writes.events.map((event) => ({ kind, event })),
    ),
    changed: judged.flatMap(({ lock, lockId, writes }) =>
      writes.events.length > 0 ? { ...lock, id: lockId } : [],
    ),
    now,
    consistencyToken,
  }
}

/** Stands for a lock that there is no row of; only who acquires it makes one. */
const neverHeld: FoundLock = {
  id: 0,
  token: 0,
  delayedUntil: null,
  lastEvent: 0,
  revision: 0,
  holders: [],
  expired: new Set(),
  line: [],
  hasMore: false,
  broken: new Map(),
  present: new Set(),
}

/** The ids of the locks, by their keys. What is acquired for the first time is made. */
async function idsOf(
  tx: Tx,
  byLock: ReadonlyMap<string, readonly Placed[]>,
  { known, made }: { known: KnownLocks; made: Map<string, number> },
): Promise<Map<string, number>> {
  const ids = new Map<string, number>()
  const unknown: Placed[] = []
  for (const [key, placed] of byLock) {
    const id = known.findId(key)
    if (id !== undefined) ids.set(key, id)
    else unknown.push(...placed)
  }
  if (unknown.length === 0) return ids
  const acquired = unknown.filter(({ demand }) => demand.kind === 'acquire')
  const making = makeLocks(
    tx,
    acquired.map(({ lock }) => lock),
  )
  const [found] = await Promise.all([
    findLocks(
      tx,
      unknown.map(({ lock }) => lock),
    ),
    making,
  ])
  for (const lock of found) {
    ids.set(keyOf(lock), lock.id)
    made.set(keyOf(lock), lock.id)
  }
  return ids
}
