import fc from 'fast-check'
import t from 'tap'
import { startTestServer } from '../../support/server.ts'
import {
  beginAt,
  get,
  list,
  put,
  remove,
  type TransactionClient,
} from '../../support/state-transactions.ts'
import { Model, type Operation, type Step } from './transaction-model.ts'

const server = await startTestServer(t, {}, { mirror: false })
const keys = ['a', 'b', 'ba', 'c']
const slots = [0, 1, 2]

const slot = fc.constantFrom(...slots)
const key = fc.constantFrom(...keys)
const operationOf = (kind: Operation['kind']) =>
  fc.record({
    kind: fc.constant(kind),
    key,
    value: fc.nat(99),
    range: fc.constantFrom({}, { prefix: 'b' }, { start: 'b' }, { start: 'a', end: 'c' }),
  })
const operations = fc.array(
  fc.oneof(
    { arbitrary: operationOf('get'), weight: 3 },
    { arbitrary: operationOf('put'), weight: 5 },
    { arbitrary: operationOf('delete'), weight: 4 },
    { arbitrary: operationOf('list'), weight: 2 },
  ),
  { minLength: 1, maxLength: 4 },
)
const stepOf = (kind: Step['kind']) =>
  fc.record({
    kind: fc.constant(kind),
    slot,
    operations,
    key,
    value: fc.nat(99),
    level: fc.constantFrom('ReadCommitted', 'RepeatableRead', 'Serializable'),
    name: fc.constantFrom('s', 't'),
  })
const weights: [Step['kind'], number][] = [
  ['run', 8],
  ['setSavepoint', 2],
  ['rollBackTo', 2],
  ['release', 1],
  ['commit', 3],
  ['rollBack', 1],
  ['putOutside', 2],
  ['deleteOutside', 1],
]
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(...weights.map(([kind, weight]) => ({ arbitrary: stepOf(kind), weight }))),
  { minLength: 10, maxLength: 30 },
)

let runs = 0

t.test('transactions do what a simple model says', async (t) => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const namespace = `model-${++runs}`
      const model = new Model()
      const open = new Map<number, TransactionClient>()
      try {
        for (const step of all) {
          let tx = open.get(step.slot)
          if (tx === undefined && !step.kind.endsWith('Outside')) {
            tx = await beginAt(server, { isolationLevel: step.level })
            open.set(step.slot, tx)
          }
          const told = await act(step, namespace, tx)
          const expected = model.do(step)
          if (step.kind === 'commit' || step.kind === 'rollBack') open.delete(step.slot)
          if (JSON.stringify(told) !== JSON.stringify(expected)) {
            throw new Error(`${JSON.stringify(step)}: ${JSON.stringify({ told, expected })}`)
          }
        }
      } finally {
        await Promise.all([...open.values()].map((tx) => tx.rollBack()))
      }
    }),
    { numRuns: 20 },
  )
  t.ok(runs >= 20, 'each run in a namespace of its own')
})

/** Does a step, and answers in short what was told of it. */
async function act(step: Step, namespace: string, tx: TransactionClient | undefined) {
  const { kind, name } = step
  if (kind === 'putOutside' || kind === 'deleteOutside') {
    const operations = [kind === 'putOutside' ? put(step.key, step.value) : remove(step.key)]
    const { body } = await server.post(`/state/${namespace}/batch`, { operations })
    return body.results[0].status
  }
  if (tx === undefined) throw new Error('nothing is open')
  switch (kind) {
    case 'run': {
      const { body } = await tx.run(namespace, step.operations.map(toBody))
      return step.operations.map((one, index) => shorten(one, body.results[index]))
    }
    case 'setSavepoint':
      return (await server.post(`${tx.path}/savepoints`, { name })).status
    case 'rollBackTo':
      return (await server.post(`${tx.path}/savepoints/${name}/rollback`)).status
    case 'release':
      return (await server.post(`${tx.path}/savepoints/${name}/release`)).status
    case 'rollBack':
      return (await tx.rollBack()).status
    case 'commit': {
      const { status } = await tx.commit()
      const { body } = await server.get(`/state/${namespace}/entries`)
      const entries = body.items.map(
        (item: { key: string; value: number; version: number }) =>
          `${item.key}=${item.value}@${item.version}`,
      )
      return [status, ...entries]
    }
  }
}

function toBody({ kind, key, value, range }: Operation): object {
  switch (kind) {
    case 'get':
      return get(key)
    case 'put':
      return put(key, value)
    case 'delete':
      return remove(key)
    case 'list':
      return list(range)
  }
}

interface Told {
  status: number
  key: string
  value?: number
  items: Told[]
}

function shorten({ kind }: Operation, { status, value, items }: Told): unknown {
  if (kind === 'get') return value ?? null
  return kind === 'list' ? items.map((item) => [item.key, item.value]) : status
}
