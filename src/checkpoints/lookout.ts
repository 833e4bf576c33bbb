/** How many times longer than a look at all tables the pause behind it is; at most `allPauseMsMax`. */
const allPauseGrowth = 50
const allPauseMsMax = 60_000
/** Tables that are asked for at once at most. */
const askedMax = 100

/** What came of a look. */
export interface Found {
  /** Tables at which something was done; there may be more of it. */
  done: readonly string[]
  failed: readonly string[]
  /** How long it took to find them, in milliseconds. */
  lookMs: number
  /** Whether there was no room for all that there was to do. */
  isCut: boolean
}

/**
 * Decides at which tables to look for work: at those where there was some, as told, and at those that failed, which
 * are found once their time has come. Now and then at all of them, for there are other servers, which may have died;
 * that takes long where tables are many, so it is done the more seldom. Times are milliseconds of any one clock. Pure.
 */
export class Lookout {
  readonly #told = new Set<string>()
  readonly #failing = new Set<string>()
  #allAt = Number.NEGATIVE_INFINITY

  /** Notes that there is work at these tables. */
  tell(tableIds: readonly string[]): void {
    for (const tableId of tableIds) this.#told.add(tableId)
  }

  /** The tables to look at now; undefined for all of them. */
  next(now: number): string[] | undefined {
    if (now >= this.#allAt) return undefined
    return [...this.#told, ...this.#failing].slice(0, askedMax)
  }

  /** Notes what came of a look at the tables that `next` has told, which ended at `now`. */
  note(asked: readonly string[] | undefined, found: Found, now: number): void {
    if (asked === undefined) {
      this.#failing.clear()
      const pauseMs = Math.min(found.lookMs * allPauseGrowth, allPauseMsMax)
      if (!found.isCut) this.#allAt = now + pauseMs
    }
    for (const tableId of asked ?? []) this.#told.delete(tableId)
    for (const tableId of found.done) this.#failing.delete(tableId)
    for (const tableId of found.failed) this.#failing.add(tableId)
    this.tell(found.done)
  }

  /** Whether work is known of that has not been looked at. */
  knowsMore(): boolean {
    return this.#told.size > 0
  }
}
