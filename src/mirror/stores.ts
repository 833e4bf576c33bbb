import { type Attempt, Breaker, type Standing } from './breaker.ts'
import type { Published } from './publish-tables.ts'

type Log = Record<'info' | 'warn', (facts: object, message: string) => void>

/** The stores that tables lie in, as far as the mirror has met them, and which of them are left alone. */
export class Stores {
  readonly #breaker = new Breaker()
  /** By table id. A table that is not known yet is tried, and known then. */
  readonly #stores = new Map<string, string>()
  readonly #log: Log

  constructor(log: Log) {
    this.#log = log
  }

  /** Notes in which store a table lies. */
  note(tableId: string, store: string): void {
    this.#stores.set(tableId, store)
  }

  /** Whether a table may be tried now. */
  standing(tableId: string): Standing {
    const store = this.#stores.get(tableId)
    return store === undefined ? 'works' : this.#breaker.standing(store, performance.now())
  }

  /** Notes that a table is tried. */
  begin(tableId: string): Attempt {
    const attempt = { tableId, store: this.#stores.get(tableId) }
    this.#breaker.begin(attempt, performance.now())
    return attempt
  }

  /** Notes what came of an attempt; undefined when the database could not be reached. */
  end(attempt: Attempt, result: Published | undefined): void {
    if (result === undefined || result.kind === 'idle') {
      this.#breaker.end(attempt, 'none', performance.now())
      return
    }
    const { store, kind } = result
    this.note(attempt.tableId, store)
    if (kind === 'held') {
      this.#breaker.end(attempt, 'none', performance.now())
      return
    }
    attempt.store = store
    const end = kind === 'failed' ? 'failed' : 'worked'
    const change = this.#breaker.end(attempt, end, performance.now())
    if (change === 'opened') {
      const error = kind === 'failed' ? result.error : undefined
      this.#log.warn({ store, error }, 'several tables failed: their store is left alone for now')
    } else if (change === 'closed') {
      this.#log.info({ store }, 'a store works again')
    }
  }

  /** Lets a table of each store that is left alone be tried at once. */
  hurry(): void {
    this.#breaker.hurry(performance.now())
  }

  /** The stores that are left alone. */
  resting(): string[] {
    return this.#breaker.resting()
  }

  /** The stores of which no table may be tried now. */
  closed(): string[] {
    const now = performance.now()
    return this.#breaker.resting().filter((store) => this.#breaker.standing(store, now) === 'rests')
  }
}
