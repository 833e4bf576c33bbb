import { jittered } from './rules.ts'

/** How many tables of a store must fail, with no success in between, until the store is left alone. */
const failuresMax = 5
const restMsMin = 1000
const restMsMax = 30_000

/** Whether the tables of a store may be tried: all, one to see whether it works again, or none. */
export type Standing = 'works' | 'probe' | 'rests'

/** An attempt at a table of a store. */
export interface Attempt {
  tableId: string
  /** Undefined until the attempt tells. */
  store: string | undefined
}

/** What an attempt says of the store: it did its work, it did not, or it was never asked. */
export type AttemptEnd = 'worked' | 'failed' | 'none'

/** A store at which something has failed since the last success. */
interface Trouble {
  /** Tables that failed. */
  failed: Set<string>
  /** How often the store was left alone in a row; 0 while it is not. */
  rests: number
  /** When the next probe may begin. */
  until: number
  probe: Attempt | undefined
}

/**
 * Keeps the mirror from trying table after table while a store is away: once several have failed it is left alone,
 * then one table is tried, and when that works all go on. Stores know nothing of each other. Times are milliseconds
 * of any one clock. Pure, but for the dice.
 */
export class Breaker {
  readonly #troubles = new Map<string, Trouble>()
  readonly #random: () => number

  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  standing(store: string, now: number): Standing {
    const trouble = this.#troubles.get(store)
    if (trouble === undefined || trouble.rests === 0) return 'works'
    return trouble.probe !== undefined || now < trouble.until ? 'rests' : 'probe'
  }

  /** Notes that a table is tried. */
  begin(attempt: Attempt, now: number): void {
    const { store } = attempt
    if (store === undefined || this.standing(store, now) !== 'probe') return
    const trouble = this.#troubles.get(store)
    if (trouble !== undefined) trouble.probe = attempt
  }

  /** Notes how an attempt ended. Answers whether the store is left alone from now on, or works again. */
  end(attempt: Attempt, end: AttemptEnd, now: number): 'opened' | 'closed' | undefined {
    const { store, tableId } = attempt
    if (store === undefined) return undefined
    const trouble = this.#troubles.get(store)
    if (end === 'worked') {
      this.#troubles.delete(store)
      return trouble !== undefined && trouble.rests > 0 ? 'closed' : undefined
    }
    const isProbe = trouble?.probe === attempt
    if (isProbe) trouble.probe = undefined
    if (end === 'none') return undefined
    if (trouble !== undefined && trouble.rests > 0) {
      // What began before the store was left alone tells nothing new.
      if (isProbe) this.#rest(trouble, now)
      return undefined
    }
    return this.#noteFailure(trouble ?? this.#begin(store), tableId, now)
  }

  /** Lets the next probes begin at once. */
  hurry(now: number): void {
    for (const trouble of this.#troubles.values()) trouble.until = Math.min(trouble.until, now)
  }

  /** The stores that are left alone. */
  resting(): string[] {
    return [...this.#troubles].flatMap(([store, { rests }]) => (rests > 0 ? store : []))
  }

  #begin(store: string): Trouble {
    const trouble = { failed: new Set<string>(), rests: 0, until: 0, probe: undefined }
    this.#troubles.set(store, trouble)
    return trouble
  }

  #noteFailure(trouble: Trouble, tableId: string, now: number): 'opened' | undefined {
    trouble.failed.add(tableId)
    if (trouble.failed.size < failuresMax) return undefined
    this.#rest(trouble, now)
    return 'opened'
  }

  #rest(trouble: Trouble, now: number): void {
    const ms = Math.min(restMsMax, restMsMin * 2 ** Math.min(trouble.rests, 20))
    trouble.rests += 1
    trouble.until = now + jittered(ms, this.#random())
    trouble.failed.clear()
  }
}
