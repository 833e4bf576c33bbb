import t from 'tap'
import type { Element, ListOperation, ListTransaction } from '../../histories/list-append.ts'
import { checkTransactions } from '../../histories/serializability.ts'
import type { Api } from '../../support/api.ts'
import { startTestServer } from '../../support/server.ts'
import {
  beginAt,
  get,
  list,
  put,
  type TransactionClient,
} from '../../support/state-transactions.ts'

const keys = ['x', 'y', 'z']
const clients = 5
const rounds = 12

const server = await startTestServer(t, {}, { mirror: false })
const beside = await startTestServer(t, {}, { beside: server, mirror: false })

/** What a client is to do in one transaction. */
type Step = { kind: 'read' | 'append'; key: string } | { kind: 'read-all' }

/** Interactive transactions on lists, in a namespace of their own, and what their clients saw. */
class Lists {
  readonly history: ListTransaction[] = []
  readonly #namespace: string
  readonly #isolationLevel: string
  #time = 0
  #element = 0

  constructor(isolationLevel: string) {
    this.#isolationLevel = isolationLevel
    this.#namespace = `lists-${isolationLevel}-${Math.random()}`
  }

  /** Begins at a server; `end` commits, or rolls back. */
  async begin(api: Api, client: number) {
    const call = ++this.#time
    const tx = await beginAt(api, { isolationLevel: this.#isolationLevel })
    const operations: ListOperation[] = []
    return {
      step: async (step: Step) => {
        operations.push(...(await this.#do(tx, step)))
      },
      end: async (how: 'commit' | 'rollBack') => {
        const { status, text } = await tx[how]()
        if (status !== 200 && status !== 409) throw new Error(text)
        const outcome = how === 'commit' && status === 200 ? 'committed' : 'aborted'
        this.history.push({ client, call, return: ++this.#time, outcome, operations })
        return outcome
      },
    }
  }

  /** The lists as they are now. */
  async end(): Promise<Map<string, Element[]>> {
    const { body } = await server.get(`/state/${this.#namespace}/entries`)
    const found = body.items.map(({ key, value }: { key: string; value: Element[] }) => [
      key,
      value,
    ])
    return new Map([...keys.map((key) => [key, []] as const), ...found])
  }

  async #do(tx: TransactionClient, step: Step): Promise<ListOperation[]> {
    if (step.kind === 'read-all') {
      const { items } = await this.#run(tx, list())
      const lists = new Map(
        items.map(({ key, value }: { key: string; value: Element[] }) => [key, value]),
      )
      return keys.map((key) => ({ kind: 'read', key, list: (lists.get(key) ?? []) as Element[] }))
    }
    const { kind, key } = step
    const { value = [] } = await this.#run(tx, get(key))
    if (kind === 'read') return [{ kind, key, list: value }]
    const element = ++this.#element
    await this.#run(tx, put(key, [...value, element]))
    return [{ kind, key, element }]
  }

  async #run(tx: TransactionClient, operation: object) {
    const { status, text, body } = await tx.run(this.#namespace, [operation])
    if (status !== 200) throw new Error(text)
    return body.results[0]
  }
}

/** A history that is the same each time but for who comes first. */
async function record(isolationLevel: string) {
  const lists = new Lists(isolationLevel)
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  const keyOf = () => keys[random(keys.length)] ?? 'x'
  const work = async (client: number) => {
    for (let round = 0; round < rounds; round += 1) {
      const steps = Array.from({ length: 1 + random(3) }, (): Step => {
        const kind = (['read', 'append', 'append', 'read-all'] as const)[random(4)] ?? 'read'
        return kind === 'read-all' ? { kind } : { kind, key: keyOf() }
      })
      const tx = await lists.begin(client % 2 === 0 ? server : beside, client)
      for (const step of steps) await tx.step(step)
      await tx.end(random(12) === 0 ? 'rollBack' : 'commit')
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, client) => work(client)))
  return { history: lists.history, end: await lists.end() }
}

t.test('transactions at Serializable are serializable, in the order of time', async (t) => {
  const { history, end } = await record('Serializable')
  t.strictSame(checkTransactions(history, 'strict-serializable', end), [])
  for (const outcome of ['committed', 'aborted'] as const) {
    const count = history.filter((one) => one.outcome === outcome).length
    t.ok(count >= 5, `${count} × ${outcome}`)
  }
  t.not(checkTransactions(withStaleRead(history), 'strict-serializable', end).length, 0)
})

t.test('transactions at RepeatableRead are on snapshots, in the order of time', async (t) => {
  const { history, end } = await record('RepeatableRead')
  t.strictSame(checkTransactions(history, 'strong-snapshot-isolation', end), [])
})

t.test('where reads are not judged, the checker finds what comes of it', async (t) => {
  const found = async (isolationLevel: string) => {
    const lists = new Lists(isolationLevel)
    const [one, two] = [await lists.begin(server, 1), await lists.begin(beside, 2)]
    await one.step({ kind: 'read', key: 'x' })
    await two.step({ kind: 'read-all' })
    await one.step({ kind: 'append', key: 'y' })
    await two.step({ kind: 'append', key: 'x' })
    await one.end('commit')
    await two.end('commit')
    const anomalies = checkTransactions(lists.history, 'serializable', await lists.end())
    return anomalies.map(({ kind }) => kind)
  }
  t.strictSame(await found('RepeatableRead'), ['G2-item'])
  t.strictSame(await found('Serializable'), [])
})

/** The same history, but that the last list that was read by who committed lacks its last element. */
function withStaleRead(history: readonly ListTransaction[]): ListTransaction[] {
  const isLong = (one: ListOperation) => one.kind === 'read' && (one.list?.length ?? 0) > 3
  const last = history.findLast(
    ({ outcome, operations }) =>
      outcome === 'committed' &&
      operations.some(isLong) &&
      operations.every(({ kind }) => kind === 'read'),
  )
  if (last === undefined) throw new Error('nobody has read a list')
  const operations = last.operations.map((one) =>
    isLong(one) && one.kind === 'read' ? { ...one, list: one.list?.slice(0, 1) } : one,
  )
  return history.map((one) => (one === last ? { ...one, operations } : one))
}
