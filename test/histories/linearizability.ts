import { EventList } from './event-list.ts'

/** What a client asked and was answered. An operation takes effect at one moment between call and return. */
export interface Operation<Input, Output> {
  client: number | string
  call: number
  /** Infinity when nobody knows the outcome: it took effect at some moment after the call, or never. */
  return: number
  input: Input
  /** What the model takes for any answer, when the outcome is unknown. */
  output: Output
}

/** How one copy would behave that serves its clients one after the other. */
export interface Model<State, Input, Output> {
  init: State
  /** Whether that output can come of that input in that state, and the state after it. Changes no state. */
  step(state: State, input: Input, output: Output): { ok: boolean; state: State }
  /** The same for the same states, and other for others. */
  stateKey(state: State): string
}

export type Verdict<Input, Output> =
  | { verdict: 'linearizable'; order: Operation<Input, Output>[] }
  | {
      verdict: 'not linearizable'
      /** The longest order found in which operations fit. */
      prefix: Operation<Input, Output>[]
      /** The one that must come next by its return, and does not fit. */
      stuck: Operation<Input, Output>
      words: string
    }
  | { verdict: 'unknown'; words: string }

/** Takes some seconds, and some hundreds of megabytes. */
const defaultSteps = 2_000_000

export interface Bound {
  /** After so many steps of the model the verdict is unknown. */
  maxSteps?: number
}

/**
 * Looks for an order of all answered operations, and some of the others, that a single copy could have served and
 * that puts none before one that had returned when it was called. The search is that of Wing and Gong as Lowe
 * improved it: depth first over which operation comes next, never twice from the same operations and state. Pure.
 *
 * An operation that fits and leaves the state as it is can come at once: no other order is lost by that.
 */
export function linearize<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
  { maxSteps = defaultSteps }: Bound = {},
): Verdict<Input, Output> {
  const search = new Search(history, model)
  while (search.isOpen) {
    if (search.steps >= maxSteps) {
      return { verdict: 'unknown', words: `no verdict within ${maxSteps} steps` }
    }
    if (!search.advance()) return refusalOf(search)
  }
  return { verdict: 'linearizable', order: search.order }
}

export interface Partition<State, Input, Output> extends Bound {
  model: Model<State, Input, Output>
  /** Operations of other keys have nothing to do with each other. */
  keyOf(operation: Operation<Input, Output>): string
}

/**
 * Judges the operations of each key by themselves, which is the same as to judge all together, and quicker. The
 * answer has no fault only when all are linearizable. Pure.
 */
export function linearizeByKey<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  { model, keyOf, ...bound }: Partition<State, Input, Output>,
): { verdict: Verdict<Input, Output>['verdict']; faults: string[] } {
  const verdicts = [...Map.groupBy(history, keyOf)].map(([key, own]) => ({
    key,
    ...linearize(own, model, bound),
  }))
  const kinds = verdicts.map(({ verdict }) => verdict)
  const worst = (['not linearizable', 'unknown'] as const).find((kind) => kinds.includes(kind))
  return {
    verdict: worst ?? 'linearizable',
    faults: verdicts.flatMap((one) => ('words' in one ? `key ${one.key}: ${one.words}` : [])),
  }
}

interface Placed<State> {
  /** The event of the call. */
  event: number
  /** What was there before it. */
  state: State
  stateId: number
  highest: number
  /** Nothing else has to be tried in its place. */
  isFree: boolean
}

/** One search: the order so far is a stack of operations, and the events of the others are a list. */
class Search<State, Input, Output> {
  steps = 0
  deepest: { order: Operation<Input, Output>[]; stuck: number; stateKey: string } | undefined

  readonly #model: Model<State, Input, Output>
  readonly #events: EventList<Operation<Input, Output>>
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
  /** First those are looked for that leave the state as it is. */
  #isForFree = true

  constructor(history: readonly Operation<Input, Output>[], model: Model<State, Input, Output>) {
    this.#model = model
    this.#events = new EventList(history)
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
    if (this.#isForFree) {
      this.#isForFree = false
      this.#event = this.#events.first
      return true
    }
    this.#noteDepth()
    return this.#goBack()
  }

  #tryCall(): boolean {
    const { input, output, return: end } = this.#events.operationOf(this.#event)
    this.steps += 1
    const { ok, state } = this.#model.step(this.#state, input, output)
    const stateId = ok ? this.#idOf(state) : -1
    const isFree = stateId === this.#stateId
    const isCandidate = ok && isFree === this.#isForFree && !(isFree && end === Infinity)
    if (!isCandidate) {
      this.#event = this.#events.after(this.#event)
      return true
    }
    this.#place({ state, stateId, isFree })
    const key = this.#key()
    if (this.#seen.has(key)) return this.#goBack()
    this.#seen.add(key)
    return true
  }

  #place({ state, stateId, isFree }: Pick<Placed<State>, 'state' | 'stateId' | 'isFree'>): void {
    const event = this.#event
    this.#stack.push({
      event,
      state: this.#state,
      stateId: this.#stateId,
      highest: this.#highest,
      isFree,
    })
    if (this.#events.isAnswered(event)) this.#answeredLeft -= 1
    this.#events.lift(event)
    this.#flip(event)
    this.#state = state
    this.#stateId = stateId
    this.#highest = Math.max(this.#highest, this.#events.indexOf(event) >> 4)
    this.#event = this.#events.first
    this.#isForFree = true
  }

  /** Takes operations back until there is something else to try in the place of one. */
  #goBack(): boolean {
    for (let last = this.#stack.pop(); last !== undefined; last = this.#stack.pop()) {
      this.#events.putBack(last.event)
      if (this.#events.isAnswered(last.event)) this.#answeredLeft += 1
      this.#flip(last.event)
      this.#state = last.state
      this.#stateId = last.stateId
      this.#highest = last.highest
      if (last.isFree) continue
      this.#event = this.#events.after(last.event)
      this.#isForFree = false
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

  #noteDepth(): void {
    if (this.deepest !== undefined && this.deepest.order.length >= this.#stack.length) return
    const stateKey = this.#model.stateKey(this.#state)
    this.deepest = { order: this.order, stuck: this.#event, stateKey }
  }

  #idOf(state: State): number {
    const key = this.#model.stateKey(state)
    const id = this.#stateIds.get(key) ?? this.#stateIds.size
    this.#stateIds.set(key, id)
    return id
  }

  stuckAt(event: number): Operation<Input, Output> {
    return this.#events.operationOf(event)
  }
}

function refusalOf<State, Input, Output>(
  search: Search<State, Input, Output>,
): Verdict<Input, Output> {
  const { order: prefix, stuck: event, stateKey } = search.deepest ?? unreachable()
  const stuck = search.stuckAt(event)
  const last = prefix.at(-1)
  const after = last === undefined ? 'at the start' : `the last of them ${describe(last)}`
  const words =
    `${prefix.length} of ${search.operations.length} operations fit in one order, ${after}; ` +
    `the state is ${stateKey} then, and neither ${describe(stuck)} fits nor what else was under way`
  return { verdict: 'not linearizable', prefix, stuck, words }
}

function describe<Input, Output>(operation: Operation<Input, Output>): string {
  const { client, call, input, output } = operation
  const answer = output === undefined ? 'no answer' : JSON.stringify(output)
  return `client ${client}: ${JSON.stringify(input)} → ${answer} (${call} to ${operation.return})`
}

function unreachable(): never {
  throw new Error('a search ends only after it was stuck')
}
