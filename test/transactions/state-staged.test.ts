import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { stagedLeftovers } from '../../src/transactions/staged/sweeps.ts'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const limits = { stateOperationsMax: 4, bodyBytesMax: 2000 }
const server = await startTestServer(t, limits, { mirror: false })
const beside = await startTestServer(t, limits, { beside: server, mirror: false })
const { get, post } = server

const put = (key: string, value: unknown, expectedVersion?: number) => ({
  put: { key, value, expectedVersion },
})
const on = (namespace: string, ...operations: object[]) => ({ namespace, operations })
const entry = async (namespace: string, key: string) =>
  (await get(`/state/${namespace}/entries/${key}`)).body

async function begin(body: object = {}): Promise<string> {
  const answer = await post('/transactions', body)
  if (answer.status !== 201) throw new Error(answer.text)
  return `/transactions/${answer.body.id}`
}

const numStaged = async (way: string) => {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from transaction_state
    where transaction_id = ${way.split('/').at(-1)}::uuid`.execute(server.db)
  return rows[0]?.count
}

t.test('what is staged for state and tables takes effect at one moment', async (t) => {
  const table = await server.makeTable()
  const way = await begin({ state: [on('one', put('a', 1), put('b', 1))] })
  const staged = await beside.call('POST', `${way}/state`, {
    raw: '{"state":[{"namespace":"two","operations":[{"put":{"key":"a","value":[12345678901234567890.0]}}]},{"namespace":"one","operations":[{"delete":{"key":"b"}},{"put":{"key":"c","value":"last"}}]}]}',
    headers: { 'content-type': 'application/json' },
  })
  t.equal(staged.status, 200, staged.text)
  const stagedState = [
    { namespace: 'one', numOperations: 3 },
    { namespace: 'two', numOperations: 1 },
  ]
  t.strictSame(staged.body, { stagedState }, 'an entry has one operation, what is new comes beside')
  const json = { actions: [add('x')] }
  t.equal((await server.call('PUT', `${way}/tables/${table}`, { json })).status, 200)
  t.match((await get(way)).body, { state: 'active', stagedState })
  t.match(await entry('one', 'c'), { status: 404 }, 'nothing shows before the commit')
  const done = await beside.post(`${way}/commit`)
  t.equal(done.status, 200, done.text)
  t.match(done.body.stateResults, [
    {
      namespace: 'one',
      revision: 1,
      results: [{ status: 201, key: 'a' }, { status: 404, key: 'b' }, { key: 'c' }],
    },
    { namespace: 'two', revision: 1, results: [{ status: 201, key: 'a' }] },
  ])
  t.match(await entry('one', 'b'), { status: 404 }, 'what was replaced is never done')
  t.match(await entry('one', 'c'), { value: 'last' })
  t.match((await get('/state/two/entries/a')).text, '"value":[12345678901234567890.0]')
  t.equal((await get(`/tables/${table}`)).body.version, 1)
  t.equal((await post(`${way}/commit`)).text, done.text, 'committed again, it answers the same')
  t.equal((await get(way)).text, done.text)
  t.match(await entry('one', 'c'), { version: 1 })
})

t.test('a refused operation leaves the transaction active, to be mended', async (t) => {
  const table = await server.makeTable()
  const way = await begin({
    tables: [{ table, actions: [add('x')] }],
    state: [on('mended', put('a', 1, 3), put('b', 1, 0))],
  })
  const violation = { namespace: 'mended', key: 'a', expected: 3, actual: 0 }
  t.strictSame((await post(`${way}/validate`)).body, {
    valid: false,
    violations: [{ type: 'VersionMismatch', ...violation }],
  })
  const refused = await post(`${way}/commit`)
  t.match(refused.body, { status: 412, code: 'version-mismatch', ...violation, index: 0 })
  t.equal((await get(`/tables/${table}`)).body.version, 0)
  t.match(await entry('mended', 'b'), { status: 404 })
  t.match((await get(way)).body, { state: 'active' })
  t.equal((await post(`${way}/state`, { state: [on('mended', put('a', 1, 0))] })).status, 200)
  t.match((await post(`${way}/validate`)).body, { valid: true, violations: [] })
  t.equal((await post(`${way}/commit`)).status, 200)
  t.match(await entry('mended', 'a'), { value: 1 })
})

t.test('a table that is refused leaves the state as it was', async (t) => {
  const table = await server.makeTable()
  const way = await begin({
    tables: [{ table, expectedVersion: 9, actions: [add('x')] }],
    state: [on('untouched', put('a', 1))],
  })
  t.match((await post(`${way}/commit`)).body, { status: 409, code: 'version-conflict' })
  t.match(await entry('untouched', 'a'), { status: 404 })
})

t.test('state alone can be staged and validated', async (t) => {
  const way = await begin()
  t.match((await post(`${way}/validate`)).body, { violations: [{ type: 'EmptyActionList' }] })
  const headers = { 'idempotency-key': randomUUID() }
  const stage = () => post(`${way}/state`, { state: [on('alone', put('a', 1))] }, headers)
  const first = await stage()
  t.equal(first.status, 200)
  const again = await stage()
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.match((await post(`${way}/validate`)).body, { valid: true, violations: [] })
  t.match((await post(`${way}/commit`)).body, { state: 'committed', tables: [] })
})

t.test('too much is refused, and what was staged stays', async (t) => {
  const way = await begin({ state: [on('full', put('a', 1), put('b', 1), put('c', 1))] })
  const stage = (...state: object[]) => post(`${way}/state`, { state })
  const more = await stage(on('more', put('a', 1), put('b', 1)))
  t.match(more.body, { status: 413, code: 'too-many-actions', maxActions: 4 })
  const twice = await stage(on('x', put('a', 1)), on('x', put('b', 1)))
  t.match(twice.body.errors, [{ pointer: '/state/1/namespace' }])
  const reading = await stage(on('x', { get: { key: 'a' } }))
  t.match(reading.body.errors, [{ pointer: '/state/0/operations/0' }])
  t.match((await get(way)).body.stagedState, [{ namespace: 'full', numOperations: 3 }])
  t.equal((await stage(on('full', put('a', 'x'.repeat(1500))))).status, 200, 'in place of another')
  const large = await stage(on('full', put('b', 'x'.repeat(700))))
  t.match(large.body, { status: 413, code: 'body-too-large', maxBytes: 2000 })
  const unknown = await post(`/transactions/${randomUUID()}/state`, {
    state: [on('x', put('a', 1))],
  })
  t.match(unknown.body, { status: 404, code: 'transaction-not-found' })
})

t.test('a rollback forgets the state, and what is over takes no more', async (t) => {
  const way = await begin({ state: [on('gone', put('a', 1))] })
  t.equal((await post(`${way}/rollback`)).status, 200)
  const late = await post(`${way}/state`, { state: [on('gone', put('a', 1))] })
  t.match(late.body, { status: 409, code: 'transaction-not-active', state: 'rolled-back' })
  const expiring = await begin({ expiresInMs: 1, state: [on('gone', put('b', 1))] })
  while ((await get(expiring)).body.state !== 'expired');
  await sql`
    update transactions set state = 'expired', ended_at = expires_at
    where id = ${expiring.split('/').at(-1)}::uuid`.execute(server.db)
  const { sweep } = stagedLeftovers(server.db, { requestMsMax: 1000, databaseCopyMsMax: 1000 })
  while ((await sweep()) > 0);
  t.strictSame([await numStaged(way), await numStaged(expiring)], [0, 0])
  t.match(await entry('gone', 'a'), { status: 404 })
})
