import t from 'tap'
import { add } from '../support/api.ts'
import { lockTables, untilBlocked, untilUnderWay } from '../support/congestion.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { makeDataDir, startServerProcess } from '../support/process.ts'
import { startProxy } from '../support/proxy.ts'

const ofCommits = 'insert into commits'

t.test('when PostgreSQL commits and its answer is lost', async (t) => {
  const database = await createTestDatabase()
  t.teardown(() => database.drop())
  const proxy = await startProxy(t, database)
  const settings = { DATABASE_URL: proxy.url, DATA_DIR: await makeDataDir(t) }
  const server = await startServerProcess(t, settings)

  await t.test('the commit is answered for when it is repeated', async (t) => {
    const table = await server.makeTable()
    const key = { 'idempotency-key': 'commit' }
    const proposal = { actions: [add('a')] }
    const lost = proxy.loseCommit({ with: ofCommits })
    const first = await server.commit(table, proposal, key)
    await lost
    t.match(first, { status: 503, body: { code: 'database-unavailable', detail: /not known/ } })
    t.equal(first.headers.get('retry-after'), '1')
    const second = await server.commit(table, proposal, key)
    t.match(second, { status: 201, body: { version: 1 } })
    t.equal(second.headers.get('idempotency-replayed'), 'true')
    t.match(await server.get(`/tables/${table}`), { body: { version: 1 } })
  })

  await t.test('nothing of a batch is committed twice', async (t) => {
    const table = await server.makeTable()
    const locker = await lockTables(t, database)
    const commit = (path: string) => server.commit(table, { actions: [add(path)] })
    const first = commit('first')
    await untilBlocked(locker)
    const others = Array.from({ length: 20 }, (_, index) => commit(`file-${index}`))
    await untilUnderWay(server, others.length + 1)
    const lost = proxy.loseCommit({ with: 'file-7' })
    await locker.query('rollback')
    await lost
    t.match(await first, { status: 201 })
    for (const { status, body } of await Promise.all(others)) {
      t.match({ status, body }, { status: 503, body: { detail: /not known/ } })
    }
    t.match(await server.get(`/tables/${table}`), {
      body: { version: 1 + others.length },
    })
  })

  await t.test('a table is made once', async (t) => {
    const key = { 'idempotency-key': 'table' }
    const definition = { name: 'sales.orders', schema: { type: 'struct', fields: [] } }
    const lost = proxy.loseCommit({ with: 'insert into "tables"' })
    t.match(await server.post('/tables', definition, key), { status: 503 })
    await lost
    const again = await server.post('/tables', definition, key)
    t.match(again, { status: 201, body: { name: 'sales.orders', version: 0 } })
    t.equal(again.headers.get('idempotency-replayed'), 'true')
  })

  await t.test('and the server dies, the next server answers for it', async (t) => {
    const table = await server.makeTable()
    const key = { 'idempotency-key': 'death' }
    const proposal = { actions: [add('a')] }
    const lost = proxy.loseCommit({ with: ofCommits, before: server.kill })
    await t.rejects(server.commit(table, proposal, key))
    await lost
    const next = await startServerProcess(t, settings)
    const answers = await Promise.all([1, 2, 3].map(() => next.commit(table, proposal, key)))
    for (const { status, body, headers } of answers) {
      t.match({ status, body }, { status: 201, body: { tableId: table, version: 1 } })
      t.equal(headers.get('idempotency-replayed'), 'true')
    }
    t.match(await next.get(`/tables/${table}`), { body: { version: 1 } })
  })
})
