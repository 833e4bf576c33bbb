import t from 'tap'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, { stateOperationsMax: 5 }, { mirror: false })
const { get, post } = server

const versionOf = async (table: string) => (await get(`/tables/${table}`)).body.version
const entry = async (key: string) => (await get(`/state/offsets/entries/${key}`)).body
const put = (key: string, value: unknown, more: object = {}) => ({ put: { key, value, ...more } })
const commit = (body: object, headers: Record<string, string> = {}) =>
  post('/transactions', { commit: true, ...body }, headers)
const offsets = (...operations: object[]) => [{ namespace: 'offsets', operations }]

t.test('files and the offset are committed together', async (t) => {
  const table = await server.makeTable()
  const { status, body } = await commit({
    tables: [{ table, actions: [add('a')] }],
    state: offsets(put('together', { at: 7 }), { delete: { key: 'none' } }),
  })
  t.equal(status, 201)
  t.match(body.tables, [{ tableId: table, version: 1 }])
  t.match(body.stateResults, [
    { namespace: 'offsets', results: [{ status: 201, version: 1 }, { status: 404 }] },
  ])
  t.match(await entry('together'), { value: { at: 7 }, revision: body.stateResults[0].revision })
  t.strictSame((await get(`/transactions/${body.id}`)).body, body)
})

t.test('a refused offset leaves no commit, and a refused table no offset', async (t) => {
  const table = await server.makeTable()
  const ofOffset = await commit({
    tables: [{ table, actions: [add('a')] }],
    state: offsets(put('x', 1), put('refused', 1, { expectedVersion: 4 })),
  })
  const told = { code: 'version-mismatch', namespace: 'offsets', key: 'refused', index: 1 }
  t.match(ofOffset.body, { status: 412, ...told, expected: 4, actual: 0 })
  t.equal(await versionOf(table), 0)
  const ofTable = await commit({
    tables: [{ table, expectedVersion: 9, actions: [add('a')] }],
    state: offsets(put('refused', 1)),
  })
  t.match(ofTable.body, { status: 409, code: 'version-conflict' })
  t.equal((await entry('refused')).code, 'entry-not-found')
})

t.test('a table that has its commit already does not hold up the state', async (t) => {
  const table = await server.makeTable()
  const idempotency = { appId: 'loader', version: 1 }
  const tables = [{ table, idempotency, actions: [add('a')] }]
  await commit({ tables })
  const again = await commit({ tables, state: offsets(put('again', 1)) })
  t.match(again.body, { tables: [{ status: 'duplicate' }], stateResults: [{}] })
  t.equal((await entry('again')).value, 1)
})

t.test('the state may be all that a transaction writes', async (t) => {
  const once = { 'idempotency-key': 'state-alone' }
  const state = [...offsets(put('alone', 1)), { namespace: 'other', operations: [put('k', 2)] }]
  const first = await commit({ state }, once)
  t.match(first.body, { tables: [], stateResults: [{ namespace: 'offsets' }, {}] })
  t.equal((await commit({ state }, once)).text, first.text)
  t.equal((await entry('alone')).version, 1)
})

t.test('many consumers of one offset commit each piece of work once', async (t) => {
  const table = await server.makeTable()
  const consume = async (name: string) => {
    for (;;) {
      const at = await entry('consumed')
      const version = at.version ?? 0
      if (version === 20) return
      const answer = await commit({
        tables: [{ table, actions: [add(`${name}-${version}`)] }],
        state: offsets(put('consumed', version + 1, { expectedVersion: version })),
      })
      if (answer.status !== 201) t.equal(answer.body.code, 'version-mismatch')
    }
  }
  await Promise.all(Array.from({ length: 8 }, (_, index) => consume(`c${index}`)))
  const { items } = (await get(`/tables/${table}/files`)).body
  const pieces = items.map((item: { add: { path: string } }) => item.add.path.split('-')[1])
  t.strictSame(
    pieces.map(Number).toSorted((a: number, b: number) => a - b),
    Array.from({ length: 20 }, (_, index) => index),
  )
})

t.test('bad input is refused with its place', async (t) => {
  const cases: [object, string][] = [
    [{}, '/tables'],
    [{ state: [] }, '/state'],
    [{ state: [...offsets(put('a', 1)), ...offsets(put('b', 1))] }, '/state/1/namespace'],
    [{ state: offsets(put('a', 1), put('a', 2)) }, '/state/0/operations/1'],
    [{ state: offsets({ get: { key: 'a' } }) }, '/state/0/operations/0'],
  ]
  for (const [body, pointer] of cases) {
    const answer = await commit(body)
    t.equal(answer.body.code, 'invalid-request', answer.text)
    t.equal(answer.body.errors[0].pointer, pointer)
  }
  const keys = ['a', 'b', 'c', 'd', 'e', 'f'].map((key) => put(key, 1))
  t.equal((await commit({ state: offsets(...keys) })).body.code, 'too-many-actions')
})
