import { sql } from 'kysely'
import t from 'tap'
import { add, type TestAnswer } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const limits = {
  transactionTablesMax: 3,
  transactionActionsMax: 12,
  actionsMax: 8,
  heldActionsMax: 6,
  transactionAgeMsMax: 60_000,
}
const server = await startTestServer(t, limits, { mirror: false })

const codeOf = ({ status, body }: TestAnswer) => [status, body?.code]
const adds = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, at) => add(`${prefix}-${at}`))

async function begin(): Promise<string> {
  return `/transactions/${(await server.post('/transactions', {})).body.id}`
}

const put = (way: string, table: string, json: object) =>
  server.call('PUT', `${way}/tables/${table}`, { json })
const more = (way: string, table: string, actions: object[]) =>
  server.post(`${way}/tables/${table}/actions`, actions)

async function violationsOf(way: string): Promise<Record<string, unknown>[]> {
  const { status, body } = await server.post(`${way}/validate`)
  t.strictSame([status, body.valid], [200, body.violations.length === 0])
  return body.violations
}

/** By which violations are put in order: their kinds, and what they tell. */
const textOf = ({ type, ...facts }: Record<string, unknown>) => `${type} ${facts['path'] ?? ''}`

t.test('all that stands against a commit is told at once, and at the commit', async (t) => {
  const tables = await Promise.all([1, 2, 3, 4].map(() => server.makeTable()))
  const [one = '', two = '', three = '', four = ''] = tables
  const way = await begin()
  await put(way, two, { expectedVersion: 5, actions: [add('c'), add('d'), add('c')] })
  await put(way, three, { operation: 'WRITE' })
  await put(way, one, { actions: adds('a', 4) })
  await more(way, one, [...adds('b', 4), add('a-1')])
  await server.call('DELETE', `/tables/${three}`)
  await sql`
    update transactions set created_at = created_at - interval '2 minutes'
    where id = ${way.split('/').at(-1)}::uuid`.execute(server.db)
  const { createdAt } = (await server.get(way)).body
  const violations = await violationsOf(way)
  t.strictSame(
    violations.toSorted((a, b) => textOf(a).localeCompare(textOf(b))),
    [
      { type: 'DuplicateFile', tableId: one, path: 'a-1' },
      { type: 'DuplicateFile', tableId: two, path: 'c' },
      { type: 'EmptyActionList', tableId: three },
      { type: 'TableNotFound', tableId: three },
      { type: 'TableTransactionTooLarge', tableId: one, actionCount: 9, maxActions: 8 },
      { type: 'TransactionTooOld', createdAt, maxAgeSeconds: 60 },
      { type: 'VersionMismatch', tableId: two, expected: 5, actual: 1 },
    ],
  )
  const growth = await put(way, four, { actions: [add('x')] })
  t.strictSame(codeOf(growth), [422, 'invalid-transaction'])
  t.match(growth.body.violations, [{ type: 'TableTransactionTooLarge', tableId: one }])
  const refused = await server.post(`${way}/commit`)
  t.strictSame(codeOf(refused), [422, 'invalid-transaction'])
  t.equal(refused.body.numViolations, 3)
  t.match((await server.get(way)).body, { state: 'active' })
})

t.test(
  'tables and actions may go beyond a limit by one request, then they grow no more',
  async (t) => {
    const tables = await Promise.all([1, 2, 3, 4].map(() => server.makeTable()))
    const way = await begin()
    for (const table of tables)
      t.equal((await put(way, table, { actions: adds('a', 3) })).status, 200)
    t.strictSame(await violationsOf(way), [{ type: 'TooManyTables', count: 4, max: 3 }])
    const [first = '', second = ''] = tables
    t.strictSame(codeOf(await more(way, first, [add('b')])), [422, 'invalid-transaction'])
    t.equal((await server.call('DELETE', `${way}/tables/${second}`)).status, 200)
    t.equal((await more(way, first, adds('b', 4))).status, 200)
    t.strictSame(await violationsOf(way), [
      { type: 'TransactionTooLarge', actionCount: 13, maxActions: 12 },
    ])
    t.strictSame(codeOf(await more(way, first, [add('c')])), [422, 'invalid-transaction'])
    t.strictSame(codeOf(await server.post(`${way}/commit`)), [422, 'invalid-transaction'])
    t.strictSame(codeOf(await put(way, second, { actions: adds('c', 9) })), [
      413,
      'too-many-actions',
    ])
    t.equal((await put(way, first, { actions: adds('b', 2) })).status, 200)
    t.strictSame(await violationsOf(way), [])
    t.equal((await server.post(`${way}/commit`)).status, 200)
  },
)

t.test('only so many transactions may be under way', async (t) => {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from transactions where state = 'active'`.execute(server.db)
  const transactionsActiveMax = (rows[0]?.count ?? 0) + 1
  const narrow = await startTestServer(
    t,
    { ...limits, transactionsActiveMax },
    { beside: server, mirror: false },
  )
  const { body } = await narrow.post('/transactions', {})
  const refused = await narrow.post('/transactions', {}, { 'idempotency-key': body.id })
  t.strictSame(codeOf(refused), [429, 'overloaded'])
  t.match(refused.headers.get('retry-after'), /^\d+$/)
  const tables = [{ table: await server.makeTable(), actions: [add('a')] }]
  t.equal((await narrow.post('/transactions', { commit: true, tables })).status, 201)
  await server.post(`/transactions/${body.id}/rollback`)
  const again = await narrow.post('/transactions', {}, { 'idempotency-key': body.id })
  t.equal(again.status, 201, 'the refusal was not kept')
  await sql`
    update transactions set expires_at = clock_timestamp()
    where id = ${again.body.id}::uuid`.execute(server.db)
  t.equal((await narrow.post('/transactions', {})).status, 201, 'what has expired does not count')
})

t.test('what only shows in the actions of a large commit is found at the commit too', async (t) => {
  const table = await server.makeTable()
  const way = await begin()
  await put(way, table, { actions: [...adds('a', 7), add('a-3')] })
  const duplicate = { type: 'DuplicateFile', tableId: table, path: 'a-3' }
  t.strictSame(await violationsOf(way), [duplicate])
  const refused = await server.post(`${way}/commit`)
  t.match(refused, { status: 422, body: { violations: [duplicate] } })
  const { rows } = await sql`
    select from pg_tables where tablename like 'stage\\_%'`.execute(server.db)
  t.equal(rows.length, 0, 'nothing is left of the attempts')
  t.strictSame(await violationsOf(await begin()), [{ type: 'EmptyActionList' }])
})
