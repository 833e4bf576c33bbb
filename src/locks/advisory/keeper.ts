import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '../../database/connect.ts'
import { invalidRequest } from '../../http/faults.ts'
import type { Problem } from '../../problems.ts'
import type { Acquired, Acquisition, Keeper, Lease } from '../keeper.ts'
import type { Holder } from '../rows.ts'
import { findBacking, keysOfNames, listBackedBy, noteBacking } from './queries.ts'
import type { AdvisoryLock } from './rules.ts'
import type { AdvisorySession } from './session.ts'

/** Keeps locks that are advisory locks of PostgreSQL besides, so that its other clients respect them and are respected. */
export interface AdvisoryKeeper {
  /**
   * Asks for a lock among those who ask here, and then for the advisory lock of the key, or of the name where there is
   * none: `hashtextextended(name, 0)`. Throws a `Problem` where there is no session for it.
   */
  acquire: (acquisition: Acquisition, key: bigint | undefined) => Promise<Acquired | HeldOutside>
  /** Gives the advisory lock of a lease back, if it is held here: the lease is about to be released. */
  give: (lease: Lease) => Promise<void>
  /** Gives back what no lease stands for any more; answers how many. */
  settle: () => Promise<number>
  /** Has the leases released whose advisory locks were lost with the session. */
  lose: (locks: readonly AdvisoryLock[]) => void
}

/** Another client of the database has the advisory lock. */
export interface HeldOutside {
  kind: 'outside'
  key: bigint
}

export interface AdvisoryKeeperOptions {
  db: Db
  keeper: Pick<Keeper, 'acquire' | 'release'>
  session: Pick<AdvisorySession, 'start' | 'status' | 'take' | 'give'>
  log: { warn: (facts: object, message: string) => void }
}

/** A lease that is backed by the session of this server, once that is noted with the lease. */
interface Backed {
  lease: Lease
  lock: AdvisoryLock
  isNoted: boolean
}

/** What one request asks for, and how it has gone so far. */
interface Asked {
  acquisition: Acquisition
  key: bigint
  /** By the clock of `performance.now`. */
  deadline: number
  turns: number
  /** Whether the lease was granted to it, and not before. */
  isNew: boolean
}

/** A request whose lease turns out to be lost in so many turns is refused. */
const turnsMax = 3
/** PostgreSQL tells nobody that an advisory lock is free. */
const pollMs = 50

/**
 * The lease arbitrates among callers of this service, and gives out the token; the advisory lock, which PostgreSQL would
 * grant one session again and again, keeps others out. A guarded write asks for both.
 */
export function createAdvisoryKeeper(options: AdvisoryKeeperOptions): AdvisoryKeeper {
  const { db, keeper, session, log } = options
  const backed = new Map<string, Backed>()

  async function acquire(
    acquisition: Acquisition,
    key: bigint | undefined,
  ): Promise<Acquired | HeldOutside> {
    await session.start()
    const { name, waitMs = 0 } = acquisition
    const asked: Asked = {
      acquisition,
      key: key ?? (await keysOfNames(db, [name]))[0] ?? 0n,
      deadline: performance.now() + waitMs,
      turns: 0,
      isNew: false,
    }
    let end = await tryOnce(asked)
    while (end === undefined) end = await tryOnce(asked)
    return end
  }

  /** Answers nothing where it is to be tried again. */
  async function tryOnce(asked: Asked): Promise<Acquired | HeldOutside | undefined> {
    const { acquisition, key, deadline } = asked
    const waitMs = Math.max(0, Math.ceil(deadline - performance.now()))
    const acquired = await keeper.acquire({ ...acquisition, waitMs })
    if (acquired.kind !== 'granted') return acquired
    const { grant } = acquired
    asked.turns += 1
    asked.isNew ||= grant.requestId !== null
    const lease = { ...leaseOf(acquisition), token: grant.token }
    const ours = asked.isNew ? lease : undefined
    const found = await orLetGo(ours, () => back(lease, grant, key))
    if (found === 'backed') return acquired
    const isLate = performance.now() >= deadline || acquisition.signal?.aborted
    if (found === 'lost' ? asked.turns < turnsMax : !isLate) {
      if (found === 'outside') await sleep(pollMs)
      return undefined
    }
    if (ours !== undefined) await letGo(ours)
    return { kind: 'outside', key }
  }

  /** Lets go of a lease, if there is one, when the work for it fails. */
  async function orLetGo<Result>(
    lease: Lease | undefined,
    work: () => Promise<Result>,
  ): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      if (lease !== undefined) await letGo(lease)
      throw error
    }
  }

  /** Sees to it that a lease has its advisory lock. */
  async function back(
    lease: Lease,
    { mode, requestId }: Holder,
    key: bigint,
  ): Promise<'backed' | 'outside' | 'lost'> {
    // Only who had it before can have a lock already.
    const before = requestId === null ? await findBacking(db, lease) : undefined
    if (before !== undefined) {
      if (before.key !== key) throw otherKey(before.key)
      if (before.isBacked) return 'backed'
      await letGo(lease)
      return 'lost'
    }
    const lock = { key, mode }
    const now = session.status()
    const [isTaken] = await session.take([lock])
    if (!isTaken) return 'outside'
    const one = { lease, lock, isNoted: false }
    backed.set(idOf(lease), one)
    const pid = now.state === 'open' ? now.pid : 0
    one.isNoted = await noteBacking(db, lease, { key, pid })
    if (one.isNoted) return 'backed'
    await letGo(lease)
    return 'lost'
  }

  async function give(lease: Lease): Promise<void> {
    const one = backed.get(idOf(lease))
    if (one === undefined) return
    backed.delete(idOf(lease))
    await session.give([one.lock])
  }

  /** What cannot be released now is found later to have no advisory lock. */
  async function letGo(lease: Lease): Promise<void> {
    await give(lease)
    await keeper.release(lease).catch(() => {})
  }

  return {
    acquire,
    give,
    async settle() {
      const now = session.status()
      const ours = [...backed.values()].filter(({ isNoted }) => isNoted)
      if (now.state !== 'open' || ours.length === 0) return 0
      const standing = new Set((await listBackedBy(db, now.pid)).map(idOf))
      const over = ours.filter(({ lease }) => !standing.has(idOf(lease)))
      await Promise.all(over.map(({ lease }) => give(lease)))
      return 0
    },
    lose(locks) {
      const keys = new Set(locks.map(({ key }) => key))
      const lost = [...backed.values()].filter(({ lock }) => keys.has(lock.key))
      for (const { lease } of lost) backed.delete(idOf(lease))
      for (const { lease } of lost) void keeper.release(lease).catch(() => {})
      log.warn({ leases: lost.length }, 'holders have lost their advisory locks')
    },
  }
}

function leaseOf({ kind, name, holder }: Acquisition): Omit<Lease, 'token'> {
  return { kind, name, holder }
}

function idOf({ kind, name, holder, token }: Lease): string {
  return JSON.stringify([kind, name, holder, token])
}

function otherKey(key: bigint): Problem {
  const message = `must be ${key}, under which the holder has the lock already`
  return invalidRequest('body', [{ pointer: '/advisoryKey', message }])
}
