import t, { type Test } from 'tap'
import { add, plainSchema, type TestAnswer } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const key = { 'idempotency-key': 'k' }

t.test('a repeated commit is applied once and answered as the first time', async (t) => {
  const { server, table } = await startWithTable(t)
  const proposal = { actions: [add('a')] }
  const first = await server.commit(table, proposal, key)
  t.equal(first.status, 201)
  t.equal(first.headers.get('idempotency-replayed'), null)
  await server.commit(table, { actions: [add('b')] })
  isReplay(t, await server.commit(table, proposal, key), first)
  t.match(await server.get(`/tables/${table}`), { body: { version: 2 } })
})

t.test('the answer is given again even when the table is dropped by then', async (t) => {
  const { server, table } = await startWithTable(t)
  const proposal = { actions: [add('a')] }
  const first = await server.commit(table, proposal, key)
  await server.call('DELETE', `/tables/${table}`)
  isReplay(t, await server.commit(table, proposal, key), first)
})

t.test('the same key with another request is refused and changes nothing', async (t) => {
  const { server, table } = await startWithTable(t)
  const other = await server.makeTable()
  t.match(await server.commit(table, { actions: [add('a')] }, key), { status: 201 })
  const lines = `${JSON.stringify(add('a'))}\n`
  const ndjson = { ...key, 'content-type': 'application/x-ndjson' }
  const requests = [
    () => server.commit(table, { actions: [add('b')] }, key),
    () => server.commit(other, { actions: [add('a')] }, key),
    () => server.call('POST', `/tables/${table}/commits`, { raw: lines, headers: ndjson }),
    () => server.post('/tables', { name: 'k', schema: plainSchema }, key),
    () => server.call('DELETE', `/tables/${table}`, { headers: key }),
    () => server.call('POST', `/tables/${table}/undrop`, { headers: key }),
  ]
  for (const request of requests) {
    t.match(await request(), { status: 422, body: { code: 'idempotency-key-reused' } })
  }
  t.match(await server.get(`/tables/${table}`), { body: { version: 1, droppedAt: undefined } })
  t.match(await server.get(`/tables/${other}`), { body: { version: 0 } })
  t.equal((await server.get('/tables')).body.items.length, 2)
})

t.test(
  'a refusal that was judged stands, also when it would be judged otherwise now',
  async (t) => {
    const { server, table } = await startWithTable(t)
    const proposal = { expectedVersion: 2, actions: [add('a')] }
    const first = await server.commit(table, proposal, key)
    t.match(first, { status: 409, body: { code: 'version-conflict' } })
    await server.commit(table, { actions: [add('b')] })
    isReplay(t, await server.commit(table, proposal, key), first)
    const illegal = { actions: [add('')] }
    const other = { 'idempotency-key': 'l' }
    const refused = await server.commit(table, illegal, other)
    t.match(refused, { status: 422, body: { code: 'invalid-actions' } })
    isReplay(t, await server.commit(table, illegal, other), refused)
  },
)

t.test('a refusal before any judgement does not use the key up', async (t) => {
  const { server } = await startWithTable(t)
  const proposal = { actions: [add('a')] }
  t.match(await server.commit('sales.orders', { actions: 'all' }, key), { status: 400 })
  t.match(await server.commit('sales.orders', proposal, key), { status: 404 })
  await server.makeTable({ name: 'sales.orders' })
  t.match(await server.commit('sales.orders', proposal, key), { status: 201 })
})

t.test('a table is made once, and a repetition gets the same one', async (t) => {
  const { server } = await startWithTable(t)
  const definition = { name: 'sales.orders', schema: plainSchema }
  const first = await server.post('/tables', definition, key)
  t.equal(first.status, 201)
  isReplay(t, await server.post('/tables', definition, key), first)
  t.equal(first.headers.get('location'), `/tables/${first.body.id}`)
  const taken = { 'idempotency-key': 'l' }
  const refused = await server.post('/tables', definition, taken)
  t.match(refused, { status: 409, body: { code: 'table-name-taken' } })
  await server.call('DELETE', `/tables/${first.body.id}`)
  isReplay(t, await server.post('/tables', definition, taken), refused)
})

t.test('a drop and an undrop are applied once', async (t) => {
  const { server, table } = await startWithTable(t)
  const drop = () => server.call('DELETE', `/tables/${table}`, { headers: key })
  const undropKey = { 'idempotency-key': 'l' }
  const undrop = () => server.call('POST', `/tables/${table}/undrop`, { headers: undropKey })
  const dropped = await drop()
  t.match(dropped, { status: 200, body: { droppedAt: /Z$/ } })
  const back = await undrop()
  t.match(back, { status: 200, body: { id: table } })
  isReplay(t, await drop(), dropped)
  t.match(await server.get(`/tables/${table}`), { body: { droppedAt: undefined } })
  await server.call('DELETE', `/tables/${table}`)
  isReplay(t, await undrop(), back)
  t.match(await server.get(`/tables/${table}`), { body: { droppedAt: /Z$/ } })
})

t.test('a key is the same bare and quoted, and differs in case', async (t) => {
  const { server, table } = await startWithTable(t)
  const commit = (value: string) =>
    server.commit(table, { actions: [add('a')] }, { 'idempotency-key': value })
  const first = await commit('Key-1 x')
  isReplay(t, await commit('"Key-1 x"'), first)
  t.match(await commit('key-1 x'), { status: 201, body: { version: 2 } })
  t.match(await commit('"Key-1 \\"x\\""'), { status: 201, body: { version: 3 } })
})

t.test('a key that cannot be used is refused', async (t) => {
  const { server, table } = await startWithTable(t)
  for (const value of ['""', '\u00e4', 'x'.repeat(256)]) {
    const answer = await server.commit(table, { actions: [add('a')] }, { 'idempotency-key': value })
    t.equal(answer.status, 400, value)
  }
  const longest = { 'idempotency-key': 'x'.repeat(255) }
  t.match(await server.commit(table, { actions: [add('a')] }, longest), { status: 201 })
})

async function startWithTable(t: Test) {
  const server = await startTestServer(t)
  return { server, table: await server.makeTable() }
}

function isReplay(t: Test, answer: TestAnswer, first: TestAnswer): void {
  t.equal(answer.headers.get('idempotency-replayed'), 'true')
  t.equal(answer.status, first.status)
  t.equal(answer.text, first.text)
  for (const name of ['content-type', 'location']) {
    t.equal(answer.headers.get(name), first.headers.get(name))
  }
}
