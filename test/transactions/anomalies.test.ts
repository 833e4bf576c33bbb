import t from 'tap'
import { add, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, {}, { mirror: false })

/** A transaction of a test, with what it reads and stages. */
async function begin(isolationLevel: string) {
  const { body } = await server.post('/transactions', { isolationLevel })
  const way = `/transactions/${body.id}`
  return {
    async read(table: string, predicate?: object): Promise<string> {
      const query = predicate && `?predicate=${encodeURIComponent(JSON.stringify(predicate))}`
      const answer = await server.get(`${way}/tables/${table}/files${query ?? ''}`)
      if (answer.status !== 200) throw new Error(answer.text)
      return answer.body.items.map((item: { add: { path: string } }) => item.add.path).join()
    },
    async stage(table: string, proposal: object): Promise<void> {
      const answer = await server.call('PUT', `${way}/tables/${table}`, { json: proposal })
      if (answer.status !== 200) throw new Error(answer.text)
    },
    commit: async () => (await server.post(`${way}/commit`)).status === 200,
  }
}

const write = (table: string, path: string) => server.commit(table, { actions: [add(path)] })
const above = (value: number) => ({
  op: 'greaterThan',
  children: [
    { op: 'column', name: 'id', valueType: 'long' },
    { op: 'literal', value, valueType: 'long' },
  ],
})

async function makeTwo(): Promise<[string, string]> {
  const [one = '', two = ''] = await Promise.all([1, 2].map(() => server.makeTable()))
  return [one, two]
}

/** Whether each anomaly happens at a level. */
const anomalies: Record<string, (level: string) => Promise<boolean>> = {
  async 'dirty read'(level) {
    const [table] = await makeTwo()
    const [reader, writer] = [await begin(level), await begin(level)]
    await writer.stage(table, { actions: [add('staged')] })
    return (await reader.read(table)) !== ''
  },
  async 'non-repeatable read'(level) {
    const [table] = await makeTwo()
    const reader = await begin(level)
    const before = await reader.read(table)
    await write(table, 'a')
    return (await reader.read(table)) !== before
  },
  async phantom(level) {
    const [table] = await makeTwo()
    const reader = await begin(level)
    const before = await reader.read(table, above(0))
    await write(table, 'a')
    return (await reader.read(table, above(0))) !== before
  },
  async 'read skew'(level) {
    const tables = await makeTwo()
    const reader = await begin(level)
    const before = await reader.read(tables[0])
    const parts = tables.map((table) => ({ table, actions: [add('a')] }))
    await server.post('/transactions', { commit: true, tables: parts })
    return (await reader.read(tables[1])) !== before
  },
  async 'long fork'(level) {
    const [one, two] = await makeTwo()
    const [first, second] = [await begin(level), await begin(level)]
    await first.read(one)
    await second.read(two)
    await write(one, 'a')
    await write(two, 'a')
    return (await first.read(two)) === 'a' && (await second.read(one)) === 'a'
  },
  async 'lost update'(level) {
    return bothUpdate(level, {})
  },
  async 'lost update, with readVersion'(level) {
    return bothUpdate(level, { readVersion: 1 })
  },
  async 'write skew'(level) {
    const [one, two] = await makeTwo()
    const [first, second] = [await begin(level), await begin(level)]
    for (const each of [first, second]) for (const table of [one, two]) await each.read(table)
    await first.stage(one, { actions: [add('x')] })
    await second.stage(two, { actions: [add('y')] })
    return (await first.commit()) && (await second.commit())
  },
}

/** Two transactions read one balance, and each puts another in its place. */
async function bothUpdate(level: string, fields: object): Promise<boolean> {
  const [table] = await makeTwo()
  await write(table, 'balance')
  const both = [await begin(level), await begin(level)]
  for (const [at, each] of both.entries()) {
    await each.read(table)
    await each.stage(table, { ...fields, actions: [remove('balance'), add(`balance-${at}`)] })
  }
  const committed = await Promise.all(both.map((each) => each.commit()))
  return !committed.includes(false)
}

/** The levels at which each happens, as docs/isolation.md says. */
const allowed: Record<string, readonly string[]> = {
  'dirty read': [],
  'non-repeatable read': ['ReadCommitted'],
  phantom: ['ReadCommitted'],
  'read skew': ['ReadCommitted'],
  'long fork': ['ReadCommitted'],
  'lost update': ['ReadCommitted', 'RepeatableRead'],
  'lost update, with readVersion': [],
  'write skew': ['ReadCommitted', 'RepeatableRead'],
}

for (const [name, happens] of Object.entries(anomalies)) {
  t.test(`${name} happens where it is said to, and nowhere else`, async (t) => {
    for (const level of ['ReadCommitted', 'RepeatableRead', 'Serializable']) {
      t.equal(await happens(level), allowed[name]?.includes(level), level)
    }
  })
}
