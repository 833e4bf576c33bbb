import type { Db } from '../database/connect.ts'
import { Problem } from '../problems.ts'
import type { Holder, LockName } from './rows.ts'
import { listDueLocks, listSettled, renewWaits } from './wait-queries.ts'

/** Requests of this server that wait for locks. */
export interface Waiters {
  /** Lets a request wait. Throws `overloaded` when no more may. */
  enter: (requestId: string) => Waiter
  /** Tells those of these requests that wait here what they were granted by a batch. */
  grant: (batch: {
    granted: readonly { requestId: string; grant: Holder }[]
    consistencyToken: string | undefined
  }) => void
  /** Whether a request waits here. */
  isHere: (requestId: string) => boolean
  /** Requests that wait. */
  count: () => number
  /** Ends all waits. */
  stop: () => Promise<void>
}

/** How a wait ends: as granted, as something to be looked up, when its time is over, or as one that nobody wants any more. */
export type WaitEnd = Granted | 'look' | 'late' | 'gone' | 'stopped'

/** What a request was granted while it waited. */
export interface Granted {
  grant: Holder
  consistencyToken: string | undefined
}

export interface Waiter {
  /** Settles when the wait ends, which is noted in the database by now; after this many milliseconds at the latest. */
  end: (ms: number) => Promise<WaitEnd>
  /** Breaks the wait off: its client has gone. */
  breakOff: () => void
  leave: () => void
}

export interface WaitersOptions {
  db: Db
  /** Time between two looks for what other servers did and what has run out. */
  pollMs: number
  waitersMax: number
  /** For how long a server is taken to live without a sign of it. */
  aliveMs: number
  /** Holders that may share a lock. */
  holdersMax: number
  /** Called with locks that somebody who waits may have now. */
  onDue: (locks: readonly LockName[]) => Promise<void>
  /** Called with requests that have waited for a while, and again from time to time. */
  onLongWaits: (requestIds: readonly string[]) => Promise<void>
  log: { warn: (facts: object, message: string) => void }
}

interface Entry {
  requestId: string
  /** When it should be told of as one that waits long, by the clock of `performance.now`. */
  longAt: number
  /** Whether the database knows of it. */
  isNoted: boolean
  end: WaitEnd | undefined
  ring: () => void
}

/** The more wait, the more is asked for at once, and the longer the rest. */
const restMsOfWaiter = 0.25
const restMsMax = 1000
const longMs = 25
const longAgainMs = 1000

/** Two statements now and then ask for all requests of a process what has become of them and of their locks. */
export function createWaiters(options: WaitersOptions): Waiters {
  const { db, pollMs, waitersMax, aliveMs, holdersMax, onDue, onLongWaits, log } = options
  const entries = new Map<string, Entry>()
  let looking: Promise<void> | undefined
  let isStopped = false
  let poll: NodeJS.Timeout | undefined
  let renewed = 0
  let hasFailed = false

  function finish(entry: Entry, end: WaitEnd): void {
    entry.end ??= end
    entry.ring()
  }

  async function tellLongWaits(): Promise<void> {
    const now = performance.now()
    const long = [...entries.values()].filter(({ isNoted, longAt }) => isNoted && longAt <= now)
    if (long.length === 0) return
    for (const entry of long) entry.longAt = now + longAgainMs
    await onLongWaits(long.map(({ requestId }) => requestId))
  }

  async function look(): Promise<void> {
    const ids = [...entries.values()].flatMap(({ requestId, isNoted }) =>
      isNoted ? requestId : [],
    )
    if (ids.length === 0) return
    if (performance.now() - renewed > aliveMs / 4) {
      renewed = performance.now()
      await renewWaits(db, ids, aliveMs)
    }
    const [settled, due] = await Promise.all([
      listSettled(db, ids),
      listDueLocks(db, ids, holdersMax),
    ])
    for (const requestId of settled) {
      const entry = entries.get(requestId)
      if (entry !== undefined) finish(entry, 'look')
    }
    await Promise.all([onDue(due), tellLongWaits()])
  }

  function schedule(): void {
    clearTimeout(poll)
    if (entries.size === 0 || isStopped || looking !== undefined) return
    const wantedMs = Math.max(pollMs, entries.size * restMsOfWaiter)
    const restMs = hasFailed ? restMsMax : Math.min(restMsMax, wantedMs)
    hasFailed = false
    poll = setTimeout(() => {
      looking = look()
        .catch((err) => {
          hasFailed = true
          log.warn({ err }, 'it could not be looked up who may have which lock')
        })
        .finally(() => {
          looking = undefined
          schedule()
        })
    }, restMs)
  }

  return {
    enter(requestId) {
      if (isStopped || entries.size >= waitersMax) throw tooMany(entries.size)
      const longAt = performance.now() + longMs
      const entry: Entry = { requestId, longAt, isNoted: false, end: undefined, ring: () => {} }
      if (entries.size === 0) renewed = performance.now()
      entries.set(requestId, entry)
      if (entries.size === 1) schedule()
      return {
        end: (ms) => endOf(entry, ms),
        breakOff: () => finish(entry, 'gone'),
        leave: () => entries.delete(requestId),
      }
    },
    grant({ granted, consistencyToken }) {
      for (const { requestId, grant } of granted) {
        const entry = entries.get(requestId)
        if (entry !== undefined) finish(entry, { grant, consistencyToken })
      }
    },
    isHere: (requestId) => entries.has(requestId),
    count: () => entries.size,
    async stop() {
      isStopped = true
      clearTimeout(poll)
      for (const entry of entries.values()) finish(entry, 'stopped')
      await looking
    },
  }
}

async function endOf(entry: Entry, ms: number): Promise<WaitEnd> {
  entry.isNoted = true
  if (entry.end === undefined) {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      entry.ring = resolve
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
  }
  const { end = 'late' } = entry
  // What was looked up may prove to be nothing.
  if (end === 'look') entry.end = undefined
  return end
}

function tooMany(count: number): Problem {
  return new Problem('overloaded', `${count} requests wait for locks already. Repeat later.`, {
    headers: { 'retry-after': '1' },
  })
}
