import type { Standing } from './breaker.ts'
import type { Published } from './publish-tables.ts'

/** Tables that are published together at most. */
const togetherMax = 32
/** Tables that are published by themselves at most, at the same time. */
const singlesMax = 3
/** How many of these may be such that failed last time, so that the others need not wait for a slow failure. */
const failingMax = 2

/** Tables that are published in one transaction. */
export interface Round {
  tableIds: readonly string[]
  /** Whether something half done may lie in a folder. */
  isUnsound: boolean
  isTogether: boolean
}

/**
 * Decides which tables are published next. One round is for all whose last attempt went well; what is large, or
 * failed, or is not known yet, goes by itself, so that it holds up no other table. Pure.
 */
export class Rounds {
  readonly #due = new Set<string>()
  readonly #active = new Set<string>()
  readonly #sound = new Set<string>()
  /** Tables whose last attempt failed. */
  readonly #failing = new Set<string>()
  /** Tables whose next version is too large to be published with others. */
  readonly #large = new Set<string>()
  #together = 0
  #singles = 0

  /** Notes that something waits to be published. */
  add(tableIds: readonly string[]): void {
    for (const tableId of tableIds) this.#due.add(tableId)
  }

  /** The next round that may start now, if any; `standingOf` tells of the store that a table lies in. */
  take(standingOf: (tableId: string) => Standing = () => 'works'): Round | undefined {
    const free = [...this.#due].filter((id) => !this.#active.has(id))
    if (this.#together === 0) {
      const goesTogether = (id: string) => this.#goesTogether(id) && standingOf(id) === 'works'
      const tableIds = free.filter(goesTogether).slice(0, togetherMax)
      if (tableIds.length > 0) {
        this.#together = 1
        return this.#start(tableIds, true)
      }
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
    return this.#start([single], false)
  }

  /** Notes what came of a round; undefined when the database could not be reached. */
  end(round: Round, results: ReadonlyMap<string, Published> | undefined): void {
    if (round.isTogether) this.#together = 0
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
    this.#sound.add(tableId)
    if (result.more) this.#due.add(tableId)
    if (result.more && result.versions === 0) this.#large.add(tableId)
  }

  #start(tableIds: readonly string[], isTogether: boolean): Round {
    for (const tableId of tableIds) {
      this.#due.delete(tableId)
      this.#active.add(tableId)
    }
    const isUnsound = tableIds.some((id) => !this.#sound.has(id))
    return { tableIds, isUnsound, isTogether }
  }

  #goesTogether(tableId: string): boolean {
    return this.#sound.has(tableId) && !this.#large.has(tableId)
  }
}
