import t from 'tap'
import { add, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)

t.test('a check gives the verdict that the commit then gets, and writes nothing', async (t) => {
  const id = await server.makeTable()
  await server.commit(id, { actions: [add('a')], idempotency: { appId: 'app', version: 1 } })
  await server.commit(id, { actions: [remove('a')] })
  const history = async () => (await server.get(`/tables/${id}/commits`)).text
  const before = await history()
  const refused = [
    { expectedVersion: 2, actions: [] },
    { readVersion: 1, actions: [remove('a')] },
    { actions: [add('', { size: -1 })] },
    { actions: [add('b')], idempotency: { appId: 'app', version: 1 } },
  ]
  for (const proposal of [...refused, { expectedVersion: 3, actions: [add('b')] }]) {
    const check = await server.post(`/tables/${id}/commits/check`, proposal)
    t.equal(check.status, 200)
    t.equal(await history(), before)
    const commit = await server.commit(id, proposal)
    t.equal(check.body.status, commit.status)
    const { instance: _, inCommitTimestamp: __, ...expected } = commit.body
    t.match(check.body.answer, expected)
  }
  t.match(await server.get(`/tables/${id}`), { body: { version: 3 } })
  const unknown = await server.post('/tables/none/commits/check', { actions: [] })
  t.match(unknown, { status: 200, body: { status: 404, answer: { code: 'table-not-found' } } })
})

t.test('an app transaction is looked up by its application', async (t) => {
  const id = await server.makeTable()
  const actions = [{ txn: { appId: 'a b/é', version: 7, lastUpdated: 5 } }]
  await server.commit(id, { actions })
  const found = await server.get(`/tables/${id}/app-transactions/${encodeURIComponent('a b/é')}`)
  t.strictSame(found.body, { appId: 'a b/é', version: 7, lastUpdated: 5, committedIn: 1 })
  const missing = await server.get(`/tables/${id}/app-transactions/other`)
  t.match(missing, { status: 404, body: { code: 'app-transaction-not-found' } })
})
