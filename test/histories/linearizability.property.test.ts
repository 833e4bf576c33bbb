import { equal, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { linearize, type Operation } from './linearizability.ts'
import {
  type AfterDelete,
  apply,
  emptyRegister,
  type RegisterInput,
  type RegisterOutput,
  registerModel,
} from './register-model.ts'

type RegisterOperation = Operation<RegisterInput, RegisterOutput | undefined>
type RegisterModel = ReturnType<typeof registerModel>

/** One with a clock, and one without. */
const afterDelete = fc.constantFrom<AfterDelete>('continues', 'restarts', 'counts')

const value = fc.constantFrom('x', 'y')
const expected = fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined })

const input: fc.Arbitrary<RegisterInput> = fc.oneof(
  fc.constant({ kind: 'get' } as const),
  fc.tuple(value, expected).map(([value, expectedVersion]) => ({
    kind: 'put' as const,
    value,
    ...(expectedVersion !== undefined && { expectedVersion }),
  })),
  expected.map((expectedVersion) => ({
    kind: 'delete' as const,
    ...(expectedVersion !== undefined && { expectedVersion }),
  })),
  fc.record({
    kind: fc.constant('compare-and-set' as const),
    from: fc.option(value, { nil: undefined }),
    to: value,
  }),
)

interface Step {
  input: RegisterInput
  /** How long before its moment an operation is called, and how long after it the answer comes. */
  before: number
  after: number
  outcome: 'answered' | 'unheard' | 'lost'
}

const step: fc.Arbitrary<Step> = fc.record({
  input,
  before: fc.integer({ min: 0, max: 40 }),
  after: fc.integer({ min: 0, max: 40 }),
  outcome: fc.constantFrom('answered', 'answered', 'answered', 'unheard', 'lost'),
})

/** What a sound store would be seen to do: one operation every 10, each at a moment within its interval. */
function serve(steps: readonly Step[], afterDelete: AfterDelete): RegisterOperation[] {
  let register = emptyRegister
  return steps.map(({ input, before, after, outcome }, index) => {
    const moment = 10 * index
    const one = { client: index, call: moment - before, input }
    const served = apply(register, input, afterDelete)
    if (outcome !== 'lost') register = served.register
    return outcome === 'answered'
      ? { ...one, return: moment + after, output: served.output }
      : { ...one, return: Infinity, output: undefined }
  })
}

/** Tries every order, and every choice of those without outcome. */
function hasOrder(
  left: readonly RegisterOperation[],
  model: RegisterModel,
  state = emptyRegister,
): boolean {
  if (left.every((operation) => operation.return === Infinity)) return true
  return left.some((one) => {
    if (left.some((other) => other.return < one.call)) return false
    const { ok, state: next } = model.step(state, one.input, one.output)
    return (
      ok &&
      hasOrder(
        left.filter((other) => other !== one),
        model,
        next,
      )
    )
  })
}

const output: fc.Arbitrary<RegisterOutput> = fc.oneof(
  fc.record({
    kind: fc.constant('found' as const),
    value,
    version: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ kind: fc.constant('written' as const), version: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('refused' as const), actual: fc.integer({ min: 0, max: 3 }) }),
  fc.constantFrom({ kind: 'absent' as const }, { kind: 'deleted' as const }),
)

/** Gives one operation an answer that may be wrong, or an interval that may be. */
const corruption = fc.record({
  place: fc.nat(5),
  output,
  shift: fc.option(fc.integer({ min: -60, max: 60 }), { nil: undefined }),
})
type Corruption = typeof corruption extends fc.Arbitrary<infer One> ? One : never

function corrupt(history: readonly RegisterOperation[], { place, output, shift }: Corruption) {
  return history.map((one, index) => {
    if (index !== place % history.length || one.output === undefined) return one
    if (shift === undefined) return { ...one, output }
    return { ...one, call: one.call + shift, return: one.return + shift }
  })
}

/** Fails the test with the smallest history that breaks the property. */
function holds<Values>(t: Test, property: fc.IProperty<Values>, numRuns: number): void {
  t.doesNotThrow(() => fc.assert(property, { numRuns }))
}

t.test('what a sound store is seen to do is linearizable, and the order told is one', async (t) => {
  holds(
    t,
    fc.property(fc.array(step, { maxLength: 60 }), afterDelete, (steps, afterDelete) => {
      const history = serve(steps, afterDelete)
      const model = registerModel(afterDelete)
      const verdict = linearize(history, model)
      if (verdict.verdict !== 'linearizable') throw new Error(verdict.words)
      checkOrder({ history, order: verdict.order, model })
    }),
    150,
  )
})

interface Answer {
  history: readonly RegisterOperation[]
  order: readonly RegisterOperation[]
  model: RegisterModel
}

function checkOrder({ history, order, model }: Answer): void {
  let state = emptyRegister
  for (const [place, one] of order.entries()) {
    const next = model.step(state, one.input, one.output)
    ok(next.ok)
    state = next.state
    ok(order.slice(place).every((other) => !(other.return < one.call)))
  }
  equal(new Set(order).size, order.length)
  const answered = history.filter((operation) => operation.return !== Infinity)
  ok(answered.every((operation) => order.includes(operation)))
}

t.test('every verdict is the one that all orders tried out give', async (t) => {
  const verdicts = { linearizable: 0, 'not linearizable': 0, unknown: 0 }
  holds(
    t,
    fc.property(
      fc.array(step, { minLength: 2, maxLength: 6 }),
      fc.array(corruption, { maxLength: 3 }),
      afterDelete,
      (steps, corruptions, afterDelete) => {
        const history = corruptions.reduce(corrupt, serve(steps, afterDelete))
        const model = registerModel(afterDelete)
        const { verdict } = linearize(history, model)
        verdicts[verdict] += 1
        equal(verdict, hasOrder(history, model) ? 'linearizable' : 'not linearizable')
      },
    ),
    5000,
  )
  t.ok(verdicts.linearizable > 250, `${verdicts.linearizable} linearizable`)
  t.ok(verdicts['not linearizable'] > 250, `${verdicts['not linearizable']} not linearizable`)
})
