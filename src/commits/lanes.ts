/** Work on some tables that waits for its turn. A table is named by one text, an id or a name. */
export interface Turn {
  tables: readonly string[]
  /** How large the work is. */
  actions: number
  /** Takes its tables for itself and shares no batch. */
  isAlone: boolean
}

/**
 * Turns that are taken together. A `quick` batch passes by a table whose row another transaction holds; a `slow`
 * one is on a single table, or on those of one turn, and waits for the row. One of kind `alone` is a single turn.
 */
export interface Batch<T extends Turn> {
  kind: 'quick' | 'slow' | 'alone'
  turns: T[]
}

/** What may still be taken. */
type Room = Record<'units' | 'actions', number>

export interface LaneLimits {
  /** Batches in flight at most, those of kind `alone` aside. One of them is kept for a quick batch, if there are two. */
  batchesMax: number
  /** Of which quick ones at most. */
  quickMax: number
  /** Batches of kind `alone` in flight at most. */
  aloneMax: number
  /** Turns in a batch at most. */
  unitsMax: number
  /** A batch is closed once it holds this many actions. */
  actionsMax: number
}

/** A turn with more than this part of a batch's actions holds up no other table. */
const largePart = 1 / 10

/** The turns of one table, in the order of their arrival. */
interface Lane<T extends Turn> {
  waiting: T[]
  /** The batch in flight that has the table. */
  batch?: Batch<T> | undefined
  /** Whether the batch before passed the table by; then it is to be waited for, or to be tried again. */
  held: 'no' | 'waits' | 'tries'
}

/**
 * Decides what is taken next. Each table has a lane, in which turns keep their order; a table is in at most one
 * batch in flight. Lanes are served in a circle, and share a batch evenly while several of them wait. Pure.
 */
export class Lanes<T extends Turn> {
  /** The lanes that hold something, the one served last at the end. */
  readonly #lanes = new Map<string, Lane<T>>()
  readonly #batches = { quick: 0, slow: 0, alone: 0 }
  /** For each turn that was passed by the number of batches before. */
  readonly #passedBy = new Map<T, number>()
  readonly #numbers = new WeakMap<Batch<T>, number>()
  readonly #limits: LaneLimits
  #taken = 0
  #inFlight = 0
  #waiting = 0
  #waitingAlone = 0

  constructor(limits: LaneLimits) {
    this.#limits = limits
  }

  /** Turns in batches in flight. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** Turns that wait. */
  get waiting(): number {
    return this.#waiting
  }

  /** Whether nothing waits and nothing is in flight. */
  get isIdle(): boolean {
    return this.#lanes.size === 0
  }

  /** Turns that wait for this table. */
  waitingFor(table: string): number {
    return this.#lanes.get(table)?.waiting.length ?? 0
  }

  add(turn: T): void {
    for (const table of turn.tables) this.#laneOf(table).waiting.push(turn)
    this.#count(turn, 1)
  }

  /** The next batch that may start now, if any. Its tables belong to it until `finish`. */
  take(): Batch<T> | undefined {
    const may = this.#places()
    if (!may.slow && !may.quick && (!may.alone || this.#waitingAlone === 0)) return undefined
    const ready: string[] = []
    for (const table of this.#lanes.keys()) {
      const turn = this.#next(table)
      if (turn === undefined) continue
      const kind = this.#kindOf(turn, may)
      if (kind === 'quick') ready.push(table)
      else if (kind !== undefined) return this.#start(kind, [table])
    }
    if (!may.quick || ready.length === 0) return undefined
    return this.#start(ready.length === 1 && may.slow ? 'slow' : 'quick', ready)
  }

  /** Adds to a slow batch in flight what waits behind it for its table, as far as there is room, and answers that. */
  takeIn(batch: Batch<T>): T[] {
    const [first] = batch.turns
    if (batch.kind !== 'slow' || first === undefined) return []
    const { unitsMax, actionsMax } = this.#limits
    const room = {
      units: unitsMax - batch.turns.length,
      actions: actionsMax - batch.turns.reduce((sum, { actions }) => sum + actions, 0),
    }
    const taken = first.tables.flatMap((table) => this.#fill(batch, table, [room]))
    this.#inFlight += taken.length
    return taken
  }

  /** Gives the tables of a batch free. Turns that were passed by go back to the front of their lanes. */
  finish(batch: Batch<T>, passedBy: readonly T[] = []): void {
    this.#batches[batch.kind] -= 1
    this.#inFlight -= batch.turns.length
    const again = new Set(passedBy)
    for (const turn of batch.turns) {
      for (const table of turn.tables) {
        Object.assign(this.#laneOf(table), { batch: undefined, held: 'no' })
      }
      if (!again.has(turn)) this.#passedBy.delete(turn)
    }
    for (const turn of passedBy.toReversed()) {
      for (const table of turn.tables) {
        const lane = this.#laneOf(table)
        lane.waiting.unshift(turn)
        lane.held = 'waits'
      }
      if (!this.#passedBy.has(turn)) this.#passedBy.set(turn, this.#taken)
      this.#count(turn, 1)
    }
    for (const table of batch.turns.flatMap((turn) => turn.tables)) this.#dropIfEmpty(table)
  }

  /**
   * Lets the first turn of each held table go in a quick batch once more: so many may be held that not all are
   * waited for, and some only for a moment. Answers whether there are any.
   */
  tryHeld(): boolean {
    let some = false
    for (const lane of this.#lanes.values()) {
      if (lane.held === 'no' || lane.batch !== undefined) continue
      lane.held = 'tries'
      some = true
    }
    return some
  }

  /** Takes out the turns that wait and were passed by before this batch was taken. */
  giveUpHeld(batch: Batch<T>): T[] {
    const number = this.#numbers.get(batch) ?? 0
    const given = [...this.#passedBy]
      .filter(([turn, since]) => since < number && this.#isWaiting(turn))
      .map(([turn]) => turn)
    for (const turn of given) this.#remove(turn)
    return given
  }

  /** The batch that a turn goes with, if it may go now. */
  #kindOf(turn: T, may: Record<Batch<T>['kind'], boolean>): Batch<T>['kind'] | undefined {
    if (turn.isAlone) return may.alone ? 'alone' : undefined
    if (may.slow && this.#goesApart(turn)) return 'slow'
    return this.#mayShare(turn) ? 'quick' : undefined
  }

  /** Which kinds of batch have a place. */
  #places(): Record<Batch<T>['kind'], boolean> {
    const { batchesMax, quickMax, aloneMax } = this.#limits
    const { quick, slow, alone } = this.#batches
    const isFull = quick + slow >= batchesMax
    return {
      slow: !isFull && slow < Math.max(1, batchesMax - 1),
      quick: !isFull && quick < quickMax,
      alone: alone < aloneMax,
    }
  }

  /** Takes from each of these lanes its share. */
  #start(kind: Batch<T>['kind'], tables: readonly string[]): Batch<T> {
    const { unitsMax, actionsMax } = this.#limits
    const batch: Batch<T> = { kind, turns: [] }
    const room = { units: kind === 'alone' ? 1 : unitsMax, actions: actionsMax }
    const share = { units: room.units / tables.length, actions: actionsMax / tables.length }
    for (const table of tables) this.#fill(batch, table, [{ ...share }, room])
    this.#batches[kind] += 1
    this.#inFlight += batch.turns.length
    this.#taken += 1
    this.#numbers.set(batch, this.#taken)
    return batch
  }

  /** Adds turns of a lane to a batch until one of the rooms is full, and answers them. */
  #fill(batch: Batch<T>, table: string, rooms: readonly Room[]): T[] {
    const taken: T[] = []
    let isTrial = false
    while (!isTrial && rooms.every(({ units, actions }) => units > 0 && actions > 0)) {
      const turn = this.#next(table, batch)
      if (turn === undefined || !this.#mayJoin(turn, batch)) break
      isTrial = batch.kind === 'quick' && this.#heldState(turn) !== 'no'
      this.#enter(batch, turn)
      taken.push(turn)
      for (const room of rooms) {
        room.units -= 1
        room.actions -= turn.actions
      }
    }
    return taken
  }

  /** The turn that is first in its lanes, all of them free or taken by this batch. */
  #next(table: string, batch?: Batch<T>): T | undefined {
    const turn = this.#lanes.get(table)?.waiting[0]
    const isReady = turn?.tables.every((own) => {
      const lane = this.#lanes.get(own)
      return lane?.waiting[0] === turn && (lane.batch === undefined || lane.batch === batch)
    })
    return isReady ? turn : undefined
  }

  #mayJoin(turn: T, { kind, turns }: Batch<T>): boolean {
    if (turns.length === 0) return true
    if (turn.isAlone) return false
    return kind === 'slow' ? turn.tables.length === 1 : this.#mayShare(turn)
  }

  #goesApart(turn: T): boolean {
    return this.#isLarge(turn) || this.#heldState(turn) !== 'no'
  }

  /** Whether the turn may go in a batch with those of other tables. */
  #mayShare(turn: T): boolean {
    return !this.#isLarge(turn) && this.#heldState(turn) !== 'waits'
  }

  #isLarge(turn: T): boolean {
    return turn.actions > this.#limits.actionsMax * largePart
  }

  #heldState(turn: T): Lane<T>['held'] {
    const states = turn.tables.map((table) => this.#lanes.get(table)?.held)
    if (states.includes('waits')) return 'waits'
    return states.includes('tries') ? 'tries' : 'no'
  }

  #isWaiting(turn: T): boolean {
    return turn.tables.some((table) => this.#lanes.get(table)?.waiting.includes(turn))
  }

  #enter(batch: Batch<T>, turn: T): void {
    this.#count(turn, -1)
    batch.turns.push(turn)
    for (const table of turn.tables) {
      const lane = this.#laneOf(table)
      lane.waiting.shift()
      lane.batch = batch
      // To the end of the circle.
      this.#lanes.delete(table)
      this.#lanes.set(table, lane)
    }
  }

  #remove(turn: T): void {
    this.#count(turn, -1)
    this.#passedBy.delete(turn)
    for (const table of turn.tables) {
      const lane = this.#laneOf(table)
      lane.waiting = lane.waiting.filter((other) => other !== turn)
      this.#dropIfEmpty(table)
    }
  }

  #count(turn: T, change: number): void {
    this.#waiting += change
    if (turn.isAlone) this.#waitingAlone += change
  }

  #laneOf(table: string): Lane<T> {
    const lane = this.#lanes.get(table) ?? { waiting: [], held: 'no' }
    this.#lanes.set(table, lane)
    return lane
  }

  #dropIfEmpty(table: string): void {
    const lane = this.#lanes.get(table)
    if (lane?.waiting.length === 0 && lane.batch === undefined) this.#lanes.delete(table)
  }
}
