import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoneSession } from '../../database/lone-session.ts'
import { isOutOfSharedMemory } from '../../database/sqlstate.ts'
import { Problem } from '../../problems.ts'
import { findPooler } from './find-pooler.ts'
import { findPid, prepareSession, tryLock, unlock } from './queries.ts'
import { type AdvisoryLock, HeldKeys } from './rules.ts'

/** One session in PostgreSQL that holds advisory locks for many holders. */
export interface AdvisorySession {
  /** Opens it, and again whenever it is lost, until `stop`. Resolves when that was tried for the first time. */
  start: () => Promise<void>
  /**
   * Takes those of the locks that nobody has, neither a holder of this session nor another client of the database, and
   * answers which. Throws a `Problem` while there is no session.
   */
  take: (locks: readonly AdvisoryLock[]) => Promise<boolean[]>
  /** Gives back what was taken, if the session still has it. */
  give: (locks: readonly AdvisoryLock[]) => Promise<void>
  status: () => AdvisoryStatus
  stop: () => Promise<void>
}

/** How a session is: open, as this process of PostgreSQL; sought; or never to be had, and then why. */
export type AdvisoryStatus =
  | { state: 'open'; pid: number; held: number }
  | { state: 'away' }
  | { state: 'refused'; reason: string }

export interface AdvisorySessionOptions {
  open: () => Promise<LoneSession>
  /** Time between two looks whether it is still there. One that does not answer for as long is lost. */
  heartbeatMs: number
  /** Told of all locks that were held when the session was lost. */
  onLost: (locks: readonly AdvisoryLock[]) => void
  log: { warn: (facts: object, message: string) => void }
}

/** Holders whose locks are to be taken or given back. */
interface Asked {
  kind: 'take' | 'give'
  locks: readonly AdvisoryLock[]
  resolve: (taken: boolean[]) => void
  reject: (error: unknown) => void
}

interface OpenSession {
  lone: LoneSession
  pid: number
  held: HeldKeys
  heart: NodeJS.Timeout
}

const backoffMsMin = 100
const backoffMsMax = 5000

/**
 * Makes a session that is not open yet. What is asked for while a statement is under way goes together in the next, so
 * thousands of locks take few journeys.
 */
export function createAdvisorySession(options: AdvisorySessionOptions): AdvisorySession {
  const { open, heartbeatMs, onLost, log } = options
  const stopping = new AbortController()
  let session: OpenSession | undefined
  let refusal: string | undefined
  let queue: Asked[] = []
  let working: Promise<void> | undefined
  let keeping: Promise<void> | undefined
  const tried = Promise.withResolvers<void>()

  async function openOnce(): Promise<OpenSession> {
    const lone = await open()
    try {
      await prepareSession(lone.db)
      const pid = await findPid(lone.db)
      const other = await open()
      refusal = await findPooler(lone.db, other.db).finally(other.end)
      if (refusal !== undefined) throw new Error(refusal)
      const heart = setInterval(() => void beat(lone), heartbeatMs)
      return { lone, pid, held: new HeldKeys(), heart }
    } catch (error) {
      lone.end()
      throw error
    }
  }

  async function beat(lone: LoneSession): Promise<void> {
    const late = sleep(heartbeatMs, 'late', { ref: false })
    const answer = await Promise.race([findPid(lone.db), late]).catch(() => 'late')
    if (answer === 'late') lone.end()
  }

  async function keep(): Promise<void> {
    let backoffMs = backoffMsMin
    while (!stopping.signal.aborted && refusal === undefined) {
      try {
        session = await openOnce()
        backoffMs = backoffMsMin
        tried.resolve()
        await Promise.race([session.lone.ended, aborted(stopping.signal)])
        lose(session)
      } catch (err) {
        log.warn({ err }, 'the session of the advisory locks cannot be opened')
        tried.resolve()
        await sleep(backoffMs, undefined, { signal: stopping.signal }).catch(() => {})
        backoffMs = Math.min(backoffMs * 2, backoffMsMax)
      }
    }
  }

  function lose({ lone, held, heart }: OpenSession): void {
    clearInterval(heart)
    session = undefined
    lone.end()
    for (const { reject } of queue.splice(0)) reject(away())
    const locks = held.list()
    if (stopping.signal.aborted) return
    log.warn({ locks: locks.length }, 'the session of the advisory locks was lost')
    if (locks.length > 0) onLost(locks)
  }

  async function work(): Promise<void> {
    for (let asked = queue; asked.length > 0; asked = queue) {
      queue = []
      const results = await settle(asked).catch((error) =>
        error instanceof Problem ? error : away(error),
      )
      for (const [index, { resolve, reject }] of asked.entries()) {
        const result = results instanceof Problem ? results : (results[index] ?? [])
        if (result instanceof Problem) reject(result)
        else resolve(result)
      }
    }
    working = undefined
  }

  async function settle(asked: readonly Asked[]): Promise<(boolean[] | Problem)[]> {
    const present = session
    if (present === undefined) throw away()
    const results = await settleAll(present, asked).catch((error) => {
      present.lone.end()
      throw error
    })
    // What was taken in a session that is lost by now was told as lost.
    if (session !== present) throw away()
    return results
  }

  function ask(kind: Asked['kind'], locks: readonly AdvisoryLock[]): Promise<boolean[]> {
    return new Promise((resolve, reject) => {
      queue.push({ kind, locks, resolve, reject })
      working ??= work()
    })
  }

  function away(cause?: unknown): Problem {
    return refusal === undefined ? sessionAway(cause) : poolerBetween(refusal)
  }

  return {
    start() {
      keeping ??= keep()
      return tried.promise
    },
    take: (locks) => (locks.length === 0 ? Promise.resolve([]) : ask('take', locks)),
    async give(locks) {
      if (session !== undefined && locks.length > 0) await ask('give', locks).catch(() => {})
    },
    status() {
      if (refusal !== undefined) return { state: 'refused', reason: refusal }
      if (session === undefined) return { state: 'away' }
      return { state: 'open', pid: session.pid, held: session.held.list().length }
    },
    async stop() {
      stopping.abort()
      await keeping
      await working
    },
  }
}

/** Does what was asked together; answers for each which of its locks were taken. */
async function settleAll(
  { lone, held }: OpenSession,
  asked: readonly Asked[],
): Promise<(boolean[] | Problem)[]> {
  const left = asked.flatMap(({ kind, locks }) =>
    kind === 'give' ? locks.filter((lock) => held.leave(lock)) : [],
  )
  await unlock(lone.db, left)
  const entries = asked.map(({ kind, locks }) =>
    kind === 'take' ? locks.map((lock) => ({ lock, as: held.enter(lock) })) : [],
  )
  const entered = entries.flat().filter(({ as }) => as !== 'refused')
  const first = entered.flatMap(({ lock, as }) => (as === 'first' ? lock : []))
  const locked = await tryLock(lone.db, first).catch(async (error) => {
    if (!isOutOfSharedMemory(error)) throw error
    // Those before the one too many are held although the statement has failed.
    await unlock(lone.db, first)
    for (const { lock } of entered) held.leave(lock)
    return tooMany(held.list().length)
  })
  if (locked instanceof Problem) return asked.map(({ kind }) => (kind === 'take' ? locked : []))
  const denied = new Set(first.flatMap(({ key }, index) => (locked[index] ? [] : key)))
  for (const { lock } of entered) if (denied.has(lock.key)) held.leave(lock)
  return entries.map((own) => own.map(({ lock, as }) => as !== 'refused' && !denied.has(lock.key)))
}

function tooMany(count: number): Problem {
  return new Problem(
    'overloaded',
    `PostgreSQL has no room for more locks than the ${count} that are held. Raise its max_locks_per_transaction, or use fewer advisory locks.`,
    { headers: { 'retry-after': '10' } },
  )
}

function sessionAway(cause: unknown): Problem {
  return new Problem(
    'database-unavailable',
    'The session that holds advisory locks was lost, and is being opened anew.',
    { headers: { 'retry-after': '1' }, cause },
  )
}

function poolerBetween(reason: string): Problem {
  return new Problem(
    'backend-not-available',
    `Advisory locks need a session of PostgreSQL of their own, and between it and this server something shares sessions out, as a pooler of transactions does: ${reason}.`,
  )
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}
