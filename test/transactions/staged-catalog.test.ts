import { randomUUID } from 'node:crypto'
import t from 'tap'
import { add, plainSchema as schema, type TestAnswer } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, { heldActionsMax: 6 }, { mirror: false })
const beside = await startTestServer(t, {}, { beside: server, mirror: false })

const codeOf = ({ status, body }: TestAnswer) => [status, body?.code]
const newName = () => `t_${randomUUID().replaceAll('-', '')}`

async function begin(body: object = {}): Promise<string> {
  const answer = await server.post('/transactions', body)
  if (answer.status !== 201) throw new Error(answer.text)
  return `/transactions/${answer.body.id}`
}

const put = (way: string, table: string, json: object) =>
  server.call('PUT', `${way}/tables/${table}`, { json })
const more = (way: string, table: string, ...paths: string[]) =>
  beside.post(
    `${way}/tables/${table}/actions`,
    paths.map((path) => add(path)),
  )
const nameOf = async (table: string) => (await server.get(`/tables/${table}`)).body.name

async function pathsIn(table: string): Promise<string[]> {
  const { body } = await server.get(`/tables/${table}/files`)
  return body.items.map((item: { add: { path: string } }) => item.add.path).sort()
}

t.test('a table is exchanged for another over several requests', async (t) => {
  const [old, other, back] = await Promise.all([1, 2, 3].map(() => server.makeTable()))
  await server.call('DELETE', `/tables/${back}`)
  const name = await nameOf(old ?? '')
  const way = await begin()
  t.match(await put(way, name, { drop: true }), {
    status: 200,
    body: { tableId: old, status: 'staged', numActions: 0, proposal: { drop: true } },
  })
  await put(way, other ?? '', { actions: [add('o')] })
  const made = await put(way, name, { create: { name, schema }, actions: [add('x')] })
  t.match(made, { status: 200, body: { numActions: 1, proposal: { create: { name } } } })
  const { tableId } = made.body
  t.match(await more(way, name, 'y'), { body: { tableId, numActions: 2 } })
  t.match(await more(way, tableId, 'z'), { body: { tableId, numActions: 3 } })
  t.match(await put(way, back ?? '', { undrop: true }), { body: { proposal: { undrop: true } } })
  t.strictSame((await server.post(`${way}/validate`)).body, { valid: true, violations: [] })
  t.equal((await server.get(`/tables/${tableId}`)).status, 404, 'nobody sees what is staged')
  t.equal((await server.get(`/tables/${name}`)).body.id, old)

  const { status, text, body } = await beside.post(`${way}/commit`)
  t.equal(status, 200, text)
  t.match(body.tables, [
    { tableId: old, status: 'dropped' },
    { tableId: other, status: 'committed', version: 1 },
    { tableId, status: 'created', version: 0, numAddedFiles: 3 },
    { tableId: back, status: 'undropped' },
  ])
  t.equal(body.tables[1].inCommitTimestamp, body.tables[2].inCommitTimestamp)
  t.match((await server.get(`/tables/${name}`)).body, { id: tableId, metadata: { id: tableId } })
  t.strictSame(await pathsIn(tableId), ['x', 'y', 'z'])
  const [commit] = (await server.get(`/tables/${tableId}/commits`)).body.items
  t.equal(commit.operation, 'CREATE TABLE AS SELECT')
  t.match((await server.get(`/tables/${old}`)).body, { droppedAt: String })
  t.notOk('droppedAt' in (await server.get(`/tables/${back}`)).body)
  t.equal((await server.post(`${way}/commit`)).status, 200)
})

t.test('a transaction may begin with tables to be made and dropped', async (t) => {
  const [gone, kept] = await Promise.all([1, 2].map(() => server.makeTable()))
  const [empty, full] = [newName(), newName()]
  const way = await begin({
    tables: [
      { create: { name: empty, schema }, operation: 'MAKE' },
      { drop: gone },
      { create: { name: full, schema }, actions: [add('a')] },
      { table: kept, actions: [add('k')] },
    ],
  })
  const staged = (await beside.get(way)).body.tables
  t.strictSame(
    staged.map(({ numActions }: { numActions: number }) => numActions),
    [0, 0, 1, 1],
  )
  await more(way, full, 'b')
  t.match(await server.call('DELETE', `${way}/tables/${gone}`), { body: { status: 'unstaged' } })
  const { body } = await server.post(`${way}/commit`)
  t.match(body.tables, [
    { tableId: staged[0].tableId, status: 'created', version: 0 },
    { tableId: staged[2].tableId, status: 'created', numAddedFiles: 2 },
    { tableId: kept, status: 'committed' },
  ])
  const [commit] = (await server.get(`/tables/${empty}/commits`)).body.items
  t.equal(commit.operation, 'MAKE')
  t.notOk('droppedAt' in (await server.get(`/tables/${gone}`)).body)
})

t.test('what cannot be staged changes nothing', async (t) => {
  const table = await server.makeTable()
  const name = newName()
  const way = await begin()
  const create = { name, schema }
  const cases: [string, string, object, number, string][] = [
    ['another name', name, { create: { name: newName(), schema } }, 400, 'invalid-request'],
    ['two kinds', name, { create, drop: true }, 400, 'invalid-request'],
    ['not true', table, { drop: false }, 400, 'invalid-request'],
    ['a drop with more', table, { drop: true, operation: 'x' }, 400, 'invalid-request'],
    ['a version', name, { create, expectedVersion: 0 }, 400, 'invalid-request'],
    ['no schema', name, { create: { name } }, 400, 'invalid-request'],
    ['a bad schema', name, { create: { name, schema: { type: 'x' } } }, 422, 'invalid-table'],
    ['outside', name, { create: { ...create, location: '/etc' } }, 422, 'location-not-allowed'],
    ['no table to drop', name, { drop: true }, 404, 'table-not-found'],
    ['no table to fill', name, { actions: [add('a')] }, 404, 'table-not-found'],
  ]
  for (const [what, at, body, status, code] of cases) {
    t.strictSame(codeOf(await put(way, at, body)), [status, code], what)
  }
  const twice = await server.post('/transactions', { tables: [{ create }, { create }] })
  t.match(twice, { status: 400, body: { code: 'invalid-request', tableIndex: 1 } })
  t.strictSame((await server.get(way)).body.tables, [])
  await put(way, table, { drop: true })
  t.strictSame(codeOf(await more(way, table, 'a')), [400, 'invalid-request'])
  t.match((await put(way, table, { actions: [add('a')] })).body, { proposal: {}, numActions: 1 })
})

t.test('what stands in the way at the commit leaves all as it was', async (t) => {
  const [taken, other] = await Promise.all([1, 2].map(() => server.makeTable()))
  const name = await nameOf(taken ?? '')
  const way = await begin({ tables: [{ table: other, actions: [add('a')] }] })
  await put(way, name, { create: { name, schema } })
  const refused = await server.post(`${way}/commit`)
  t.match(refused, { status: 409, body: { code: 'table-name-taken', table: name, tableIndex: 1 } })
  t.match((await server.get(way)).body, { state: 'active', tables: [{}, {}] })
  t.strictSame(await pathsIn(other ?? ''), [])
  t.match(await server.call('DELETE', `${way}/tables/${name}`), { body: { status: 'unstaged' } })
  await put(way, name, { drop: true })
  const holder = await begin()
  await server.post(`${holder}/reserve`, { tables: [name] })
  t.strictSame(codeOf(await server.post(`${way}/commit`)), [409, 'table-reserved'])
  await server.post(`${holder}/rollback`)
  t.equal((await server.post(`${way}/commit`)).status, 200)
  t.match((await server.get(`/tables/${taken}`)).body, { droppedAt: String })
})

t.test('the actions of new tables are few, and each file is added once', async (t) => {
  const [one, two] = [newName(), newName()]
  const way = await begin()
  const made = await put(way, one, { create: { name: one, schema }, actions: [add('a'), add('a')] })
  await put(way, two, { create: { name: two, schema } })
  await more(way, one, 'b', 'c')
  const large = await more(way, two, 'd', 'e', 'f')
  t.match((await server.post(`${way}/validate`)).body.violations, [
    {
      type: 'TableTransactionTooLarge',
      tableId: large.body.tableId,
      actionCount: 3,
      maxActions: 2,
    },
    { type: 'DuplicateFile', tableId: made.body.tableId, path: 'a' },
  ])
  t.strictSame(codeOf(await server.post(`${way}/commit`)), [422, 'invalid-transaction'])
  await server.call('DELETE', `${way}/tables/${two}`)
  const refused = await server.post(`${way}/commit`)
  t.match(refused.body.violations, [{ type: 'DuplicateFile', path: 'a' }])
})

t.test('Serializable: what was read of a table that is dropped may not have changed', async (t) => {
  const attempt = async (changes: boolean) => {
    const table = await server.makeTable()
    const way = await begin({ isolationLevel: 'Serializable' })
    await server.get(`${way}/tables/${table}/files`)
    await put(way, table, { drop: true })
    if (changes) await server.commit(table, { actions: [add('new')] })
    return codeOf(await server.post(`${way}/commit`))
  }
  t.strictSame(await attempt(true), [409, 'concurrent-append'])
  t.strictSame(await attempt(false), [200, undefined])
})
