import type { Pool, Tx } from '../database/connect.ts'
import { inPipelinedTransaction } from '../database/pipeline.ts'
import { type Demand, type FoundLock, type Judged, judgeLock, type Verdict } from './judge.ts'
import { eventText } from './lock-json.ts'
import {
  type FoundHolders,
  type FoundWait,
  findLocks,
  listHolders,
  listWaits,
  lockExpired,
  lockLocks,
  makeLocks,
  writeLocks,
} from './queries.ts'
import type { LockEvent, LockName, LockRow } from './rows.ts'

/** A demand on a lock. */
export interface Placed {
  lock: LockName
  demand: Demand
}

export interface KeepOptions {
  /** Whether locks whose rows another transaction holds are passed by, instead of waited for. */
  skipHeld: boolean
  /** Ids of locks that are known, by `keyOf`; those that are found or made are added. */
  ids: Map<string, number>
  /** Holders that may share a lock. */
  holdersMax: number
  /** For how long who waits is taken to live without a sign of its server. */
  aliveMs: number
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
  /** The locks that have events, by id. */
  changed: number[]
  consistencyToken: string | undefined
}

/** Names a lock in memory. */
export function keyOf({ kind, name }: LockName): string {
  return `${kind}/${name}`
}

/** Of each line so many are read. */
const lineMax = 200

/**
 * Does a batch of demands in one PostgreSQL transaction: lock, read, judge, write. The number of statements does not
 * depend on the number of demands, locks, holders or waiters. When it throws, nothing of it is done, or it is not known.
 */
export async function keepBatch<P extends Placed>(
  pool: Pool,
  batch: readonly P[],
  options: KeepOptions,
): Promise<KeptBatch<P>> {
  const byLock = Map.groupBy(batch, ({ lock }) => keyOf(lock))
  const made = new Map<string, number>()
  const { result, consistencyToken } = await inPipelinedTransaction(pool, async (tx) => {
    const ids = await idsOf(tx, byLock, { known: options.ids, made })
    const found = await lockAndRead(tx, [...ids.values()], { batch, skipHeld: options.skipHeld })
    const { now, timeline } = found
    const settings = { now, timeline, holdersMax: options.holdersMax }
    const verdicts = new Map<P, Verdict>()
    const judged = [...byLock].flatMap(([key, placed]) => {
      const lockId = ids.get(key)
      const lock = lockId === undefined ? neverHeld : found.locks.get(lockId)
      const [first] = placed
      if (lock === undefined || first === undefined) return []
      const one = judgeLock(
        lock,
        placed.map(({ demand }) => demand),
        settings,
      )
      for (const [index, each] of placed.entries()) {
        verdicts.set(each, one.verdicts[index] as Verdict)
      }
      return lockId === undefined ? [] : [{ ...one, lockId, topic: first.lock.kind }]
    })
    const { aliveMs } = options
    const writes = judged.map(({ writes, lockId, topic }) => ({ ...writes, lockId, topic }))
    return {
      result: { verdicts, judged, now },
      writes: writeLocks(tx, writes, { aliveMs, textOf: eventText }),
    }
  })
  for (const [key, id] of made) options.ids.set(key, id)
  const { judged, ...told } = result
  return {
    ...told,
    granted: judged.flatMap(({ granted }) => granted),
    events: judged.flatMap(({ topic: kind, writes }) =>
      writes.events.map((event) => ({ kind, event })),
    ),
    changed: judged.filter(({ writes }) => writes.events.length > 0).map(({ lockId }) => lockId),
    consistencyToken,
  }
}

/** Stands for a lock that there is no row of; only who acquires it makes one. */
const neverHeld: FoundLock = {
  id: 0,
  token: 0,
  delayedUntil: null,
  lastEvent: 0,
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
  { known, made }: { known: ReadonlyMap<string, number>; made: Map<string, number> },
): Promise<Map<string, number>> {
  const ids = new Map<string, number>()
  const unknown: Placed[] = []
  for (const [key, placed] of byLock) {
    const id = known.get(key)
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

interface Found extends Omit<FoundHolders, 'holders'> {
  /** By id; those that are held are left out. */
  locks: Map<number, FoundLock>
}

/** Locks the rows of locks, and reads under them who has them and who waits: one journey, where no lease has run out. */
async function lockAndRead(
  tx: Tx,
  ids: readonly number[],
  { batch, skipHeld }: { batch: readonly Placed[]; skipHeld: boolean },
): Promise<Found> {
  const requestIds = batch.flatMap(({ demand }) =>
    demand.kind === 'leave' || demand.kind === 'break' ? demand.requestId : [],
  )
  const [rows, read, waits] = await Promise.all([
    lockLocks(tx, ids, { skipHeld }),
    listHolders(tx, ids),
    listWaits(tx, ids, { requestIds, limit: lineMax }),
  ])
  const locked = new Set(rows.map(({ id }) => id))
  const { now, timeline, holders, expired } = await expire(tx, ids, {
    ...read,
    holders: read.holders.filter(({ lockId }) => locked.has(lockId)),
  })
  const parts = {
    holders: Map.groupBy(holders, ({ lockId }) => lockId),
    waits: Map.groupBy(waits, ({ lockId }) => lockId),
    expired,
    asked: new Set(requestIds),
  }
  return { now, timeline, locks: new Map(rows.map((row) => [row.id, assemble(row, parts)])) }
}

/** Which holders have let their leases run out; these cannot be renewed any more. */
async function expire(tx: Tx, ids: readonly number[], found: FoundHolders) {
  const late = found.holders.filter(({ expiresAt }) => expiresAt <= found.now)
  if (late.length === 0) return { ...found, expired: new Set<string>() }
  const locked = new Set(found.holders.map(({ lockId }) => lockId))
  const [gone, again] = await Promise.all([
    lockExpired(tx, late),
    listHolders(
      tx,
      ids.filter((id) => locked.has(id)),
    ),
  ])
  return { ...again, expired: new Set(gone.map(holderKey)) }
}

const holderKey = ({ lockId, holder }: { lockId: number; holder: string }) => `${lockId}/${holder}`

interface Parts {
  holders: Map<number, FoundHolders['holders']>
  waits: Map<number, FoundWait[]>
  expired: ReadonlySet<string>
  asked: ReadonlySet<string>
}

function assemble(row: LockRow, { holders, waits, expired, asked }: Parts): FoundLock {
  const own = waits.get(row.id) ?? []
  // Those that were asked about stand at their place and once more by themselves.
  const first = new Map(own.filter(({ counts }) => counts).map((one) => [one.requestId, one]))
  const line = [...first.values()]
  const present = own.filter(({ requestId }) => asked.has(requestId))
  return {
    ...row,
    holders: holders.get(row.id) ?? [],
    expired: new Set(
      holders.get(row.id)?.flatMap((one) => (expired.has(holderKey(one)) ? one.holder : [])),
    ),
    line: line.slice(0, lineMax),
    hasMore: line.length >= lineMax,
    broken: new Map(
      present.flatMap(({ requestId, cycle }) => (cycle === null ? [] : [[requestId, cycle]])),
    ),
    present: new Set(present.flatMap(({ requestId, cycle }) => (cycle === null ? requestId : []))),
  }
}
