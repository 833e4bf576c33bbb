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

/** Rounds of tables that wait for each other, at the same time. */
const jointMax = 3
/** How many of these may have tables in other stores than this machine. */
const jointElsewhereMax = 2

/** Tables that are published in one transaction. */
export interface Round {
  kind: 'together' | 'joint' | 'single'
  tableIds: readonly string[]
  /** Whether something half done may lie in a folder. */
  isUnsound: boolean
  /** Whether versions of any size are published. */
  isWhole: boolean
  /** The stores that tables lie in, as far as they are known. */
  stores: readonly string[]
}

/**
 * Decides which tables are published next. One round is for all of a store whose last attempt went well, so that a slow
 * store holds up no other; what is large, or failed, or is not known yet, goes by itself and holds up no other table.
 * Tables that wait for each other at a transaction go in a round of their own, whatever they are. Pure.
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
  /** Tables whose next version appears together with those of others, and all these tables. */
  readonly #awaits = new Map<string, readonly string[]>()
  readonly #underWay = new Set<Round>()

  /** Notes that something waits to be published. */
  add(tableIds: readonly string[]): void {
    for (const tableId of tableIds) this.#due.add(tableId)
  }

  /** The next round that may start now, if any; `standingOf` tells of the store that a table lies in. */
  take(standingOf: StandingOf = () => 'works'): Round | undefined {
    const free = [...this.#due].filter((id) => !this.#active.has(id))
    // Where a store is left alone, nobody waits for its tables.
    const isHeld = (id: string) =>
      this.#awaits.get(id)?.every((one) => standingOf(one) === 'works') ?? false
    const own = free.filter((id) => !isHeld(id))
    return (
      this.#takeJoint(free.filter(isHeld)) ??
      this.#takeTogether(own.filter((id) => standingOf(id) === 'works')) ??
      this.#takeSingle(own, standingOf)
    )
  }

  /** Notes what came of a round; undefined when the database could not be reached. */
  end(round: Round, results: ReadonlyMap<string, Published> | undefined): void {
    this.#underWay.delete(round)
    for (const tableId of round.tableIds) this.#active.delete(tableId)
    for (const tableId of round.tableIds) this.#note(tableId, results?.get(tableId), round)
    if (results !== undefined) this.#rouse(results)
  }

  #note(tableId: string, result: Published | undefined, round: Round): void {
    this.#awaits.delete(tableId)
    if (result?.kind === 'idle') return
    if (result?.kind === 'held') {
      this.#awaits.set(tableId, result.awaits)
      const isInVain = result.awaits.every((id) => round.tableIds.includes(id))
      if (!isInVain) this.#due.add(tableId)
      return
    }
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
    if (result.awaits !== undefined) this.#awaits.set(tableId, result.awaits)
  }

  /** Has those tried anew that wait for a table which has come further, or which nobody waits for any more. */
  #rouse(results: ReadonlyMap<string, Published>): void {
    const hasMoved = (id: string) => {
      const result = results.get(id)
      return result?.kind === 'published' ? result.versions > 0 : isFailure(result)
    }
    for (const [tableId, awaits] of this.#awaits) {
      if (awaits.some((id) => id !== tableId && hasMoved(id))) this.#due.add(tableId)
    }
  }

  /** A round for the tables that one of these waits for, and for others that wait in the same stores. */
  #takeJoint(held: readonly string[]): Round | undefined {
    const sets = held.map((id) => this.#awaits.get(id) ?? [])
    const ready = sets.filter((set) => set.every((id) => !this.#active.has(id)))
    const first = ready.find((set) => this.#isJointFree(this.#storesOf(set)))
    if (first === undefined) return undefined
    const stores = this.#storesOf(first)
    const isWhole = first.some((id) => this.#large.has(id))
    const tableIds = new Set(first)
    for (const set of isWhole ? [] : ready) {
      if (set.some((id) => this.#large.has(id)) || !hasSame(this.#storesOf(set), stores)) continue
      const more = set.filter((id) => !tableIds.has(id))
      if (tableIds.size + more.length <= togetherMax) for (const id of more) tableIds.add(id)
    }
    return this.#start([...tableIds], { kind: 'joint', isWhole, stores })
  }

  #takeTogether(candidates: readonly string[]): Round | undefined {
    const together = candidates.filter((id) => this.#goesTogether(id))
    const store = together.map((id) => this.#sound.get(id)).find((one) => this.#isFree(one))
    if (store === undefined) return undefined
    const tableIds = together.filter((id) => this.#sound.get(id) === store).slice(0, togetherMax)
    return this.#start(tableIds, { kind: 'together', isWhole: false, stores: [store] })
  }

  #takeSingle(candidates: readonly string[], standingOf: StandingOf): Round | undefined {
    if (this.#count('single') >= singlesMax) return undefined
    const failing = [...this.#active].filter((id) => this.#failing.has(id)).length
    const single = candidates.find((id) => {
      if (this.#failing.has(id) && failing >= failingMax) return false
      const standing = standingOf(id)
      return standing === 'probe' || (standing === 'works' && !this.#goesTogether(id))
    })
    if (single === undefined) return undefined
    return this.#start([single], {
      kind: 'single',
      isWhole: true,
      stores: this.#storesOf([single]),
    })
  }

  #start(tableIds: readonly string[], what: Pick<Round, 'kind' | 'isWhole' | 'stores'>): Round {
    for (const tableId of tableIds) {
      this.#due.delete(tableId)
      this.#active.add(tableId)
    }
    const isUnsound = tableIds.some((id) => !this.#sound.has(id))
    const round = { tableIds, isUnsound, ...what }
    this.#underWay.add(round)
    return round
  }

  #count(kind: Round['kind'], isMeant: (round: Round) => boolean = () => true): number {
    return [...this.#underWay].filter((round) => round.kind === kind && isMeant(round)).length
  }

  /** Whether a round may start in a store. One is kept for the folders of this machine, which are the fastest. */
  #isFree(store: string | undefined): boolean {
    if (store === undefined) return false
    if (this.#count('together', ({ stores }) => stores.includes(store)) > 0) return false
    return store === localStore || this.#count('together', isElsewhere) < otherStoresMax
  }

  #isJointFree(stores: readonly string[]): boolean {
    if (this.#count('joint') >= jointMax) return false
    return !isElsewhere({ stores }) || this.#count('joint', isElsewhere) < jointElsewhereMax
  }

  #storesOf(tableIds: readonly string[]): string[] {
    return [...new Set(tableIds.map((id) => this.#sound.get(id) ?? 'unknown'))]
  }

  #goesTogether(tableId: string): boolean {
    return this.#sound.has(tableId) && !this.#large.has(tableId)
  }
}

type StandingOf = (tableId: string) => Standing

/** Whether a round does, or may, wait for something other than this machine. */
function isElsewhere({ stores }: Pick<Round, 'stores'>): boolean {
  return stores.some((store) => store !== localStore)
}

function hasSame(stores: readonly string[], others: readonly string[]): boolean {
  return stores.length === others.length && stores.every((store) => others.includes(store))
}

function isFailure(result: Published | undefined): boolean {
  return result?.kind === 'failed' || result?.kind === 'forked'
}
