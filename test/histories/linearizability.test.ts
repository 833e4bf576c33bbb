import t from 'tap'
import { Deadlines } from './deadlines.ts'
import { linearize, linearizeByKey, type Operation } from './linearizability.ts'
import { type RegisterInput, type RegisterOutput, registerModel } from './register-model.ts'

type RegisterOperation = Operation<RegisterInput, RegisterOutput | undefined>

const model = registerModel('continues')

/** Operations drawn as lines: each with its client, its interval, what was asked and what answered. */
function operation(
  client: string,
  [call, end]: [number, number],
  [input, output]: [RegisterInput, RegisterOutput?],
): RegisterOperation {
  return { client, call, return: end, input, output }
}

const put = (value: string, expectedVersion?: number): RegisterInput => ({
  kind: 'put',
  value,
  ...(expectedVersion !== undefined && { expectedVersion }),
})
const get: RegisterInput = { kind: 'get' }
const remove: RegisterInput = { kind: 'delete' }
const found = (value: string, version: number): RegisterOutput => ({
  kind: 'found',
  value,
  version,
})
const written = (version: number): RegisterOutput => ({ kind: 'written', version })
const absent: RegisterOutput = { kind: 'absent' }
const deleted: RegisterOutput = { kind: 'deleted' }

const linearizable: Record<string, RegisterOperation[]> = {
  'nothing at all': [],
  'a read that overlaps a write, of either value': [
    operation('a', [0, 10], [put('x'), written(1)]),
    operation('b', [1, 3], [get, absent]),
    operation('c', [4, 6], [get, found('x', 1)]),
  ],
  'a read at the moment at which the write returns': [
    operation('a', [0, 5], [put('x'), written(1)]),
    operation('b', [5, 6], [get, absent]),
  ],
  'a write without outcome that is seen much later': [
    operation('a', [0, Infinity], [put('x')]),
    operation('b', [1, 2], [get, absent]),
    operation('b', [8, 9], [get, found('x', 1)]),
  ],
  'a write without outcome that is never seen': [
    operation('a', [0, Infinity], [put('x')]),
    operation('b', [1, 2], [put('y'), written(1)]),
    operation('b', [3, 4], [get, found('y', 1)]),
  ],
  'two writes without outcome, the first of which took effect last': [
    operation('a', [0, Infinity], [put('x')]),
    operation('b', [1, Infinity], [put('y')]),
    operation('c', [2, 3], [get, found('x', 2)]),
  ],
  'two writes without outcome, in the order of their calls': [
    operation('a', [0, Infinity], [put('x')]),
    operation('b', [1, Infinity], [put('y')]),
    operation('c', [2, 3], [get, found('y', 2)]),
  ],
  'one of two that expect the same version is refused': [
    operation('a', [0, 1], [put('x'), written(1)]),
    operation('b', [2, 5], [put('y', 1), { kind: 'refused', actual: 2 }]),
    operation('c', [2, 5], [put('z', 1), written(2)]),
  ],
  'versions go on after a delete': [
    operation('a', [0, 1], [put('x'), written(1)]),
    operation('a', [2, 3], [remove, deleted]),
    operation('a', [4, 5], [{ kind: 'compare-and-set', from: undefined, to: 'y' }, written(2)]),
    operation('a', [6, 7], [{ kind: 'compare-and-set', from: 'x', to: 'z' }, { kind: 'refused' }]),
  ],
}

const broken: Record<string, RegisterOperation[]> = {
  'a stale read': [
    operation('a', [0, 1], [put('x'), written(1)]),
    operation('b', [2, 3], [get, absent]),
  ],
  'reads that go back': [
    operation('a', [0, 10], [put('x'), written(1)]),
    operation('b', [1, 3], [get, found('x', 1)]),
    operation('c', [4, 6], [get, absent]),
  ],
  'a lost update': [
    operation('a', [0, 1], [put('x'), written(1)]),
    operation('b', [2, 5], [put('y', 1), written(2)]),
    operation('c', [2, 5], [put('z', 1), written(2)]),
  ],
  'a version given twice': [
    operation('a', [0, 5], [put('x'), written(1)]),
    operation('b', [0, 5], [put('y'), written(1)]),
  ],
  'a value from nowhere': [operation('a', [0, 1], [get, found('x', 1)])],
  'a write without outcome that is seen before it was called': [
    operation('b', [1, 2], [get, found('x', 1)]),
    operation('a', [3, Infinity], [put('x')]),
  ],
  'a write without outcome that comes and goes': [
    operation('a', [0, Infinity], [put('x')]),
    operation('b', [1, 2], [get, found('x', 1)]),
    operation('b', [3, 4], [get, absent]),
  ],
  'a refusal by what was not there': [
    operation('a', [0, 1], [put('x'), written(1)]),
    operation('a', [2, 3], [put('y', 1), { kind: 'refused', actual: 2 }]),
  ],
  'a refusal that tells another version': [
    operation('a', [0, 1], [put('x'), written(1)]),
    operation('a', [2, 3], [put('y', 0), { kind: 'refused', actual: 7 }]),
  ],
  'a delete that did nothing': [
    operation('a', [0, 1], [put('x'), written(1)]),
    operation('a', [2, 3], [remove, deleted]),
    operation('a', [4, 5], [get, found('x', 1)]),
  ],
  'a version that starts again': [
    operation('a', [0, 1], [put('x'), written(1)]),
    operation('a', [2, 3], [remove, deleted]),
    operation('a', [4, 5], [put('y'), written(1)]),
  ],
}

t.test('histories with an order are linearizable', async (t) => {
  for (const [name, history] of Object.entries(linearizable)) {
    t.equal(linearize(history, model).verdict, 'linearizable', name)
  }
})

t.test('histories without one are not', async (t) => {
  for (const [name, history] of Object.entries(broken)) {
    t.equal(linearize(history, model).verdict, 'not linearizable', name)
  }
})

t.test('a model in which versions start again after a delete takes such a history', async (t) => {
  const history = broken['a version that starts again'] ?? []
  t.equal(linearize(history, registerModel('restarts')).verdict, 'linearizable')
})

t.test('a refusal tells the longest order and the operation that does not fit', async (t) => {
  const history = [
    operation('a', [0, 1], [put('x'), written(1)]),
    operation('b', [2, 5], [put('y', 1), written(2)]),
    operation('c', [3, 6], [get, found('x', 1)]),
    operation('d', [7, 8], [get, found('x', 1)]),
    operation('e', [9, 9], [get, found('x', 1)]),
  ]
  const verdict = linearize(history, model)
  if (verdict.verdict !== 'not linearizable') throw new Error(verdict.verdict)
  t.same(verdict.prefix, [history[0], history[2], history[1]])
  t.equal(verdict.stuck, history[3])
  t.equal(
    verdict.words,
    '3 of 5 operations fit in one order, the last of them ' +
      'client b: {"kind":"put","value":"y","expectedVersion":1} → {"kind":"written","version":2} (2 to 5); ' +
      'the state is version 2 y then, and neither ' +
      'client d: {"kind":"get"} → {"kind":"found","value":"x","version":1} (7 to 8) fits ' +
      'nor what else was under way',
  )
})

t.test('an order is told that keeps to the intervals', async (t) => {
  const history = linearizable['a read that overlaps a write, of either value'] ?? []
  const verdict = linearize(history, model)
  t.match(verdict, { order: [history[1], history[0], history[2]] })
})

t.test('keys are judged by themselves', async (t) => {
  const history = [
    ...(linearizable['a write without outcome that is seen much later'] ?? []).map(withKey('k')),
    ...(broken['a stale read'] ?? []).map(withKey('l')),
  ]
  const keys = new Map<RegisterOperation, string>(history.map((one) => [one, one.key]))
  const keyOf = (one: RegisterOperation) => keys.get(one) ?? ''
  const { verdict, faults } = linearizeByKey(history, { model, keyOf })
  t.equal(verdict, 'not linearizable')
  t.equal(faults.length, 1)
  t.match(faults[0], /^key l: 1 of 2 operations fit in one order, the last of them client a: /)
})

function withKey(key: string) {
  return (one: RegisterOperation) => ({ ...one, key })
}

t.test('a search that takes too long ends without a verdict', async (t) => {
  const writes = Array.from({ length: 30 }, (_, index) =>
    operation(`w${index}`, [index, Infinity], [put(`v${index}`)]),
  )
  const history = [...writes, operation('r', [100, 101], [get, found('none', 15)])]
  const verdict = linearize(history, model, { maxSteps: 10_000 })
  t.same(verdict, { verdict: 'unknown', words: 'no verdict within 10000 steps' })
  const keyed = linearizeByKey(history, { model, keyOf: () => 'k', maxSteps: 10_000 })
  t.same(keyed, { verdict: 'unknown', faults: ['key k: no verdict within 10000 steps'] })
})

t.test('a clock ends what only writes without outcome could go on with', async (t) => {
  const writes = Array.from({ length: 30 }, (_, index) =>
    operation(`w${index}`, [index, Infinity], [put(`v${index}`)]),
  )
  const history = [
    operation('a', [0, 1], [put('x'), written(1)]),
    ...writes,
    operation('a', [100, 101], [put('x', 0), written(2)]),
    operation('a', [102, 103], [put('y', 1), written(2)]),
  ]
  const verdict = linearize(history, model, { maxSteps: 10_000 })
  t.match(verdict, { verdict: 'not linearizable', prefix: [history[0]] })
})

t.test('a deadline is missed by what has no place, also by what is put back', async (t) => {
  const deadlines = new Deadlines([5, Infinity, 3], (latest) => latest)
  t.equal(deadlines.missedAt(3), undefined)
  t.equal(deadlines.missedAt(4), 3)
  deadlines.place(2)
  t.equal(deadlines.missedAt(4), undefined)
  t.equal(deadlines.missedAt(6), 5)
  deadlines.place(0)
  t.equal(deadlines.missedAt(6), undefined)
  deadlines.putBack(2)
  t.equal(deadlines.missedAt(4), 3)
})

t.test('the same operations and state are not tried twice', async (t) => {
  const writes = Array.from({ length: 10 }, (_, index) =>
    operation(`w${index}`, [index, Infinity], [put('x')]),
  )
  const history = [...writes, operation('r', [100, 101], [get, found('y', 5)])]
  t.equal(linearize(history, model, { maxSteps: 20_000 }).verdict, 'not linearizable')
})

t.test('an operation that returns before it is called is no operation', async (t) => {
  t.throws(() => linearize([operation('a', [2, 1], [get, absent])], model), /no interval/)
})
