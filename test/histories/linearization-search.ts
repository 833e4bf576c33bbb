import { Deadlines } from './deadlines.ts'
import { EventList } from './event-list.ts'
import type { Model, Operation } from './linearizability.ts'

interface Placed<State> {
  /** The event of the call. */
  event: number
  /** What was there before it. */
  state: State
  stateId: number
  highest: number
  turn: Turn
}

/** What is tried for the next place, one after the other. */
const turns = {
  /** Answered operations that leave the state as it is: nothing else has to be tried in their place. */
  free: 'answered',
  answered: 'open',
  /** Those without outcome, the last called first: most take effect soon, or never. */
  open: undefined,
} as const

type Turn = keyof typeof turns

/** One search: the order so far is a stack of operations, and the events of the others are a list. */
export class Search<State, Input, Output> {
  steps = 0
  deepest:
    | { order: Operation<Input, Output>[]; stuck: Operation<Input, Output>; stateKey: string }
    | undefined

  readonly #model: Model<State, Input, Output>
  readonly #events: EventList<Operation<Input, Output>>
  readonly #deadlines: Deadlines<Operation<Input, Output>> | undefined
  readonly #stack: Placed<State>[] = []
  readonly #seen = new Set<string>()
  readonly #stateIds = new Map<string, number>()
  /** Which operations have their place: a bit for each, in the order of their calls. */
  readonly #bits: Uint16Array
  #highest = 0
  #answeredLeft: number
  #state: State
  #stateId: number
  #event: number
  #turn: Turn = 'free'

  constructor(history: readonly Operation<Input, Output>[], model: Model<State, Input, Output>) {
    this.#model = model
    this.#events = new EventList(history)
    const { clock } = model
    this.#deadlines =
      clock &&
      new Deadlines(this.#events.operations, (one) =>
        one.return === Infinity ? Infinity : clock.latest(one.input, one.output),
      )
    this.#bits = new Uint16Array((history.length >> 4) + 1)
    this.#answeredLeft = history.filter((operation) => operation.return !== Infinity).length
    this.#state = model.init
    this.#stateId = this.#idOf(model.init)
    this.#event = this.#events.first
  }

  get isOpen(): boolean {
    return this.#answeredLeft > 0
  }

  get order(): Operation<Input, Output>[] {
    return this.#stack.map(({ event }) => this.#events.operationOf(event))
  }

  get operations(): readonly Operation<Input, Output>[] {
    return this.#events.operations
  }

  /** Looks at one event. False when there is nothing left to try. */
  advance(): boolean {
    if (this.#events.isCall(this.#event)) return this.#tryCall()
    const turn = turns[this.#turn]
    if (turn === undefined) {
      this.#noteDepth(this.#events.operationOf(this.#events.firstReturn))
      return this.#goBack()
    }
    this.#turn = turn
    this.#event = turn === 'open' ? this.#nextOf(this.#event) : this.#events.first
    return true
  }

  #nextOf(event: number): number {
    return this.#turn === 'open' ? this.#events.before(event) : this.#events.after(event)
  }

  #tryCall(): boolean {
    const { input, output } = this.#events.operationOf(this.#event)
    const isAnswered = this.#events.isAnswered(this.#event)
    const step = isAnswered === (this.#turn === 'open') ? undefined : this.#step(input, output)
    if (step === undefined) {
      this.#event = this.#nextOf(this.#event)
      return true
    }
    this.#place(step)
    const key = this.#key()
    if (this.#seen.has(key)) return this.#goBack()
    this.#seen.add(key)
    const missed = this.#deadlines?.missedAt(this.#model.clock?.of(this.#state) ?? 0)
    if (missed === undefined) return true
    if (isAnswered) this.#noteDepth(missed)
    return this.#goBack()
  }

  /** What an operation makes of the state, when it fits and it is its turn. */
  #step(input: Input, output: Output) {
    this.steps += 1
    const { ok, state } = this.#model.step(this.#state, input, output)
    const stateId = ok ? this.#idOf(state) : -1
    const isFree = stateId === this.#stateId
    return ok && isFree === (this.#turn === 'free') ? { state, stateId } : undefined
  }

  #place({ state, stateId }: Pick<Placed<State>, 'state' | 'stateId'>): void {
    const event = this.#event
    this.#stack.push({
      event,
      state: this.#state,
      stateId: this.#stateId,
      highest: this.#highest,
      turn: this.#turn,
    })
    if (this.#events.isAnswered(event)) this.#answeredLeft -= 1
    this.#events.lift(event)
    this.#deadlines?.place(this.#events.indexOf(event))
    this.#flip(event)
    this.#state = state
    this.#stateId = stateId
    this.#highest = Math.max(this.#highest, this.#events.indexOf(event) >> 4)
    this.#event = this.#events.first
    this.#turn = 'free'
  }

  /** Takes operations back until there is something else to try in the place of one. */
  #goBack(): boolean {
    for (let last = this.#stack.pop(); last !== undefined; last = this.#stack.pop()) {
      this.#events.putBack(last.event)
      this.#deadlines?.putBack(this.#events.indexOf(last.event))
      if (this.#events.isAnswered(last.event)) this.#answeredLeft += 1
      this.#flip(last.event)
      this.#state = last.state
      this.#stateId = last.stateId
      this.#highest = last.highest
      if (last.turn === 'free') continue
      this.#turn = last.turn
      this.#event = this.#nextOf(last.event)
      return true
    }
    return false
  }

  #flip(event: number): void {
    const index = this.#events.indexOf(event)
    this.#bits[index >> 4] = (this.#bits[index >> 4] ?? 0) ^ (1 << (index & 15))
  }

  /** The state and which operations have their place: all before the first that is left, none after the highest. */
  #key(): string {
    const first = this.#events.indexOf(this.#events.first) >> 4
    const between = this.#bits.subarray(first, this.#highest + 1)
    return `${this.#stateId},${first},${String.fromCharCode(...between)}`
  }

  #noteDepth(stuck: Operation<Input, Output>): void {
    if (this.deepest !== undefined && this.deepest.order.length >= this.#stack.length) return
    const stateKey = this.#model.stateKey(this.#state)
    this.deepest = { order: this.order, stuck, stateKey }
  }

  #idOf(state: State): number {
    const key = this.#model.stateKey(state)
    const id = this.#stateIds.get(key) ?? this.#stateIds.size
    this.#stateIds.set(key, id)
    return id
  }
}
