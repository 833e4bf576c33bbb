import type { Db } from '../../database/connect.ts'
import { Problem } from '../../problems.ts'
import { type DueRequest, listDue, renewWaits } from './queries.ts'

/** Requests of this server that wait for reservations. */
export interface Waiters {
  /** Lets a request wait. Throws `overloaded` when no more may. */
  enter: (requestId: string) => Waiter
  /** Tells that reservations may have ended. Those that others ended are found by looking. */
  wake: () => void
  /** Requests that wait. */
  count: () => number
  /** Ends all waits. */
  stop: () => Promise<void>
}

/** A request that waits. */
export interface Waiter {
  /** Settles when it should be tried again, when its time is over, and when nobody waits for its answer any more. */
  turn: (ms: number) => Promise<'due' | 'late' | 'gone'>
  /** Breaks its wait off: its client has gone. */
  breakOff: () => void
  leave: () => void
}

export interface WaitersOptions {
  db: Db
  /** Time between two looks for what other servers did. */
  pollMs: number
  waitersMax: number
  /** For how long a server is taken to live without a sign of it. */
  aliveMs: number
  log: { warn: (facts: object, message: string) => void }
}

interface Entry {
  isGone: boolean
  wasDue: boolean
  ring: () => void
}

/** One statement from time to time, and when told to, asks for all requests of a process which should be tried again. */
export function createWaiters({ db, pollMs, waitersMax, aliveMs, log }: WaitersOptions): Waiters {
  const entries = new Map<string, Entry>()
  let looking: Promise<void> | undefined
  let isStopped = false
  let isAsked = false
  let poll: NodeJS.Timeout | undefined
  let renewed = performance.now()

  async function look(): Promise<void> {
    const ids = [...entries.keys()]
    if (performance.now() - renewed > aliveMs / 4) {
      renewed = performance.now()
      await renewWaits(db, ids, aliveMs)
    }
    for (const { requestId } of firstInLine(await listDue(db, ids))) {
      const entry = entries.get(requestId)
      if (entry === undefined) continue
      entry.wasDue = true
      entry.ring()
    }
  }

  function lookNow(): void {
    isAsked = true
    if (isStopped || looking !== undefined || entries.size === 0) return
    isAsked = false
    clearTimeout(poll)
    looking = look()
      .catch((err) => log.warn({ err }, 'it could not be looked up who may reserve now'))
      .finally(() => {
        looking = undefined
        if (isAsked) lookNow()
        else schedule()
      })
  }

  function schedule(): void {
    clearTimeout(poll)
    if (entries.size > 0 && !isStopped) poll = setTimeout(lookNow, pollMs)
  }

  return {
    enter(requestId) {
      if (isStopped || entries.size >= waitersMax) throw tooMany(entries.size)
      const entry: Entry = { isGone: false, wasDue: false, ring: () => {} }
      if (entries.size === 0) renewed = performance.now()
      entries.set(requestId, entry)
      if (entries.size === 1) schedule()
      return {
        turn: (ms) => turnOf(entry, ms),
        breakOff() {
          entry.isGone = true
          entry.ring()
        },
        leave: () => entries.delete(requestId),
      }
    },
    wake: lookNow,
    count: () => entries.size,
    async stop() {
      isStopped = true
      clearTimeout(poll)
      for (const entry of entries.values()) {
        entry.isGone = true
        entry.ring()
      }
      await looking
    },
  }
}

async function turnOf(entry: Entry, ms: number): Promise<'due' | 'late' | 'gone'> {
  let timer: NodeJS.Timeout | undefined
  if (!entry.isGone && !entry.wasDue) {
    await new Promise<void>((resolve) => {
      entry.ring = resolve
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
  }
  if (entry.isGone) return 'gone'
  const { wasDue } = entry
  entry.wasDue = false
  return wasDue ? 'due' : 'late'
}

/** Of requests for the same table only the first is tried, for it takes what the others want. */
function firstInLine(due: readonly DueRequest[]): DueRequest[] {
  const asked = new Set<string>()
  return due.filter(({ tableIds }) => {
    const isFirst = !tableIds.some((id) => asked.has(id))
    for (const id of tableIds) asked.add(id)
    return isFirst
  })
}

function tooMany(count: number): Problem {
  return new Problem(
    'overloaded',
    `${count} requests wait for reservations already. Repeat later.`,
    {
      headers: { 'retry-after': '1' },
    },
  )
}
