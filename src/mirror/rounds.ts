import type { Standing } from './breaker.ts'
import type { Published } from './publish-tables.ts'
import { localStore } from './rules.ts'

/** Tables that are published together at most. */
const togetherMax = 128
/** Stores other than this machine in which such rounds are under way at most. */
const otherStoresMax = 2
/** Tables that are published by themselves at most, at the same time. */
const singlesMax = 3
/** How many of these may be such that failed last time, so that the others need not wait for a slow failure. */
const failingMax = 2

/** Tables that are published in one transaction. */
export interface Round {
  tableIds: readonly string[]
  /** Whether something half done may lie in a folder. */
  isUnsound: boolean
  /** Of a round of several tables the store that they all lie in. */
  store: string | undefined
}

/**
 * Decides which tables are published next. One round is for all of a store whose last attempt went well, so that a slow
 * store holds up no other; what is large, or failed, or is not known yet, goes by itself and holds up no other table. Pure.
 */
export class Rounds {
  readonly #due = new Set<string>()
  readonly #active = new Set<string>()
  /** Tables whose last attempt went well, and the stores that they lie in. */
  readonly #sound = new Map<string, string>()
  /** Tables whose last attempt failed. */
  readonly #failing = new Set<string>()
  /** Tables whose next version is too large to be published with others. */
  readonly #large = new Set<string>()
  /** The stores of which a round of several tables is under way. */
  readonly #together = new Set<string>()
  #singles = 0

  /** Notes that something waits to be published. */
  add(tableIds: readonly string[]): void {
    for (const tableId of tableIds) this.#due.add(tableId)
  }

  /** The next round that may start now, if any; `standingOf` tells of the store that a table lies in. */
  take(standingOf: (tableId: string) => Standing = () => 'works'): Round | undefined {
    const free = [...this.#due].filter((id) => !this.#active.has(id))
    const together = free.filter((id) => this.#goesTogether(id) && standingOf(id) === 'works')
    const store = together.map((id) => this.#sound.get(id)).find((one) => this.#isFree(one))
    if (store !== undefined) {
      this.#together.add(store)
      const tableIds = together.filter((id) => this.#sound.get(id) === store).slice(0, togetherMax)
      return this.#start(tableIds, store)
    }
    if (this.#singles >= singlesMax) return undefined
    const failing = [...this.#active].filter((id) => this.#failing.has(id)).length
    const single = free.find((id) => {
      if (this.#failing.has(id) && failing >= failingMax) return false
      const standing = standingOf(id)
      return standing === 'probe' || (standing === 'works' && !this.#goesTogether(id))
    })
    if (single === undefined) return undefined
    this.#singles += 1
    return this.#start([single])
  }

  /** Notes what came of a round; undefined when the database could not be reached. */
  end(round: Round, results: ReadonlyMap<string, Published> | undefined): void {
    if (round.store !== undefined) this.#together.delete(round.store)
    else this.#singles -= 1
    for (const tableId of round.tableIds) {
      this.#active.delete(tableId)
      this.#note(tableId, results?.get(tableId))
    }
  }

  #note(tableId: string, result: Published | undefined): void {
    if (result?.kind === 'idle') return
    this.#large.delete(tableId)
    this.#failing.delete(tableId)
    if (result?.kind !== 'published') {
      this.#sound.delete(tableId)
      if (result?.kind === 'failed') this.#failing.add(tableId)
      return
    }
    this.#sound.set(tableId, result.store)
    if (result.more) this.#due.add(tableId)
    if (result.more && result.versions === 0) this.#large.add(tableId)
  }

  #start(tableIds: readonly string[], store?: string): Round {
    for (const tableId of tableIds) {
      this.#due.delete(tableId)
      this.#active.add(tableId)
    }
    const isUnsound = tableIds.some((id) => !this.#sound.has(id))
    return { tableIds, isUnsound, store }
  }

  /** Whether a round may start in a store. One is kept for the folders of this machine, which are the fastest. */
  #isFree(store: string | undefined): boolean {
    if (store === undefined || this.#together.has(store)) return false
    const others = this.#together.size - (this.#together.has(localStore) ? 1 : 0)
    return store === localStore || others < otherStoresMax
  }

  #goesTogether(tableId: string): boolean {
    return this.#sound.has(tableId) && !this.#large.has(tableId)
  }
}
