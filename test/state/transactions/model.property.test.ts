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
import { Model, type Step } from './transaction-model.ts'

const server = await startTestServer(t, {}, { mirror: false })
const keys = ['a', 'b', 'ba', 'c']
const slots = [0, 1, 2]

const slot = fc.constantFrom(...slots)
const key = fc.constantFrom(...keys)
const stepOf = (kind: Step['kind']) =>
  fc.record({
    kind: fc.constant(kind),
    slot,
    key,
    value: fc.nat(99),
    level: fc.constantFrom('ReadCommitted', 'RepeatableRead', 'Serializable'),
    range: fc.constantFrom({}, { prefix: 'b' }, { start: 'b' }, { start: 'a', end: 'c' }),
    name: fc.constantFrom('s', 't'),
  })
const weights: [Step['kind'], number][] = [
  ['get', 3],
  ['put', 5],
  ['delete', 3],
  ['list', 2],
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
  { minLength: 10, maxLength: 40 },
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
    { numRuns: 15 },
  )
  t.ok(runs >= 15, 'each run in a namespace of its own')
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
    case 'get': {
      const { body } = await tx.run(namespace, [get(step.key)])
      return body.results[0].value ?? null
    }
    case 'list': {
      const { body } = await tx.run(namespace, [list(step.range)])
      const { items } = body.results[0]
      return items.map((item: { key: string; value: number }) => [item.key, item.value])
    }
    case 'put':
    case 'delete': {
      const operation = kind === 'put' ? put(step.key, step.value) : remove(step.key)
      return (await tx.run(namespace, [operation])).body.results[0].status
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
