import { Search } from './linearization-search.ts'

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
  clock?: Clock<State, Input, Output>
}

/** A number in each state that no step makes lower, as far as there is one. */
export interface Clock<State, Input, Output> {
  of(state: State): number
  /** The highest number at which that output can still come of that input. */
  latest(input: Input, output: Output): number
}

export type Verdict<Input, Output> =
  | { verdict: 'linearizable'; order: Operation<Input, Output>[] }
  | {
      verdict: 'not linearizable'
      /** The longest order found in which operations fit. */
      prefix: Operation<Input, Output>[]
      /** One that must come before others by its return or by what it was answered, and does not fit. */
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
 * An answered operation that fits and leaves the state as it is can come at once: no other order is lost by that.
 * What may never have taken effect comes last. A model with a clock saves most of the search where many outcomes are
 * unknown.
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

function refusalOf<State, Input, Output>(
  search: Search<State, Input, Output>,
): Verdict<Input, Output> {
  const { order: prefix, stuck, stateKey } = search.deepest ?? unreachable()
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
