import type { FoundLock } from './judge.ts'
import type { Asking } from './rows.ts'

/** What the database said of the time, and on which timeline. */
export interface DatabaseClock {
  /** Epoch milliseconds. */
  now: number
  timeline: number
}

const idsMax = 100_000
const statesMax = 20_000

/**
 * What a server knows of locks: their ids, and how they were left by its last batch. That may be out of date, so whatever
 * is written on the strength of it is written only where the lock still has that revision.
 */
export class KnownLocks {
  readonly #ids = new Map<string, number>()
  readonly #states = new Map<string, { lock: FoundLock; timeline: number }>()
  readonly #isHere: (requestId: string) => boolean
  #clock: (DatabaseClock & { at: number }) | undefined

  /** `isHere` tells whether a request waits at this server, so that it is known to live. */
  constructor(isHere: (requestId: string) => boolean) {
    this.#isHere = isHere
  }

  findId(key: string): number | undefined {
    return this.#ids.get(key)
  }

  keepId(key: string, id: number): void {
    if (this.#ids.size >= idsMax) this.#ids.clear()
    this.#ids.set(key, id)
  }

  /**
   * A lock as it was left, if that can be built upon: no lease has run out by then, which may have been renewed, nobody
   * waits at another server, which may have died, and it was left so on this timeline.
   */
  find(key: string, { now, timeline }: DatabaseClock): FoundLock | undefined {
    const state = this.#states.get(key)
    if (state === undefined || state.timeline !== timeline || state.lock.hasMore) return undefined
    const { lock } = state
    const isSure =
      lock.holders.every(({ expiresAt }) => expiresAt > now) &&
      lock.line.every(({ requestId }) => this.#isHere(requestId))
    return isSure ? lock : undefined
  }

  /** Whether a lock was left to others, beside whom this request cannot have it. */
  isHeldBeside(key: string, { holder, mode }: Asking): boolean {
    const holders = this.#states.get(key)?.lock.holders ?? []
    return (
      holders.some((one) => mode === 'exclusive' || one.mode === 'exclusive') &&
      holders.every((one) => one.holder !== holder)
    )
  }

  keep(key: string, state: { lock: FoundLock; timeline: number }): void {
    if (this.#states.size >= statesMax) this.#states.clear()
    this.#states.set(key, state)
  }

  forgetState(key: string): void {
    this.#states.delete(key)
  }

  /** The clock of the database: never ahead of it, unless that was set back. */
  clock(): DatabaseClock | undefined {
    if (this.#clock === undefined) return undefined
    const { now, timeline, at } = this.#clock
    return { now: now + Math.floor(performance.now() - at), timeline }
  }

  keepClock({ now, timeline }: DatabaseClock): void {
    this.#clock = { now, timeline, at: performance.now() }
  }

  clear(): void {
    this.#ids.clear()
    this.#states.clear()
    this.#clock = undefined
  }
}
