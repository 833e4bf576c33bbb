import t from 'tap'
import { add, type TestAnswer } from '../support/api.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { makeDataDir, startServerProcess } from '../support/process.ts'
import { startProxy } from '../support/proxy.ts'
import { startTestServer } from '../support/server.ts'
import { walPlace } from '../support/wal.ts'

const server = await startTestServer(t)
const definition = (name: string) => ({ name, schema: { type: 'struct', fields: [] } })
const tokenOf = ({ headers }: TestAnswer) => headers.get('consistency-token')

/** Where the write-ahead log ends. */
async function walEnd(): Promise<bigint> {
  const { rows } = await server.pool.query('select pg_current_wal_insert_lsn() as place')
  return walPlace(rows[0].place)
}

t.test('every write answers a place in the log behind its commit', async (t) => {
  const table = await server.makeTable()
  const commitLines = (prefix: string, count: number) => {
    const paths = Array.from({ length: count }, (_, index) => `${prefix}/${index}`)
    const raw = paths.map((path) => JSON.stringify(add(path))).join('\n')
    const headers = { 'content-type': 'application/x-ndjson' }
    return server.call('POST', `/tables/${table}/commits`, { raw, headers })
  }
  const writes: Record<string, () => Promise<TestAnswer>> = {
    createTable: () => server.post('/tables', definition('made')),
    commit: () => server.commit(table, { actions: [add('a')] }),
    commitLines: () => commitLines('few', 2),
    commitStaged: () => commitLines('many', 12_000),
    commitByName: () => server.commit('made', { actions: [] }),
    drop: () => server.call('DELETE', `/tables/${table}`),
    undrop: () => server.post(`/tables/${table}/undrop`),
    vacuum: () => server.post('/maintenance/vacuum'),
    retention: () => server.post('/maintenance/retention'),
    archive: () => server.post('/maintenance/archive'),
    checkpoint: () => server.post('/maintenance/checkpoint'),
  }
  let last = 0n
  for (const [name, write] of Object.entries(writes)) {
    const before = await walEnd()
    const answer = await write()
    t.ok(answer.status < 300, `${name}: ${answer.text}`)
    const token = walPlace(tokenOf(answer))
    t.ok(token > before, `${name} has written`)
    t.ok(token <= (await walEnd()), `${name} does not point beyond the log`)
    t.ok(token > last, `${name} comes behind the write before it`)
    last = token
  }
})

t.test('commits that share a batch have tokens that stand for all of it', async (t) => {
  const table = await server.makeTable()
  const before = await walEnd()
  const paths = Array.from({ length: 50 }, (_, index) => `file-${index}`)
  const answers = await Promise.all(
    paths.map((path) => server.commit(table, { actions: [add(path)] })),
  )
  const byVersion = answers.toSorted((a, b) => a.body.version - b.body.version)
  const places = byVersion.map((answer) => walPlace(tokenOf(answer)))
  t.ok(places.every((place) => place > before))
  t.strictSame(
    places,
    places.toSorted((a, b) => Number(a - b)),
    'a later version never has an earlier place',
  )
})

t.test('what had been written already is answered with a present token', async (t) => {
  const table = await server.makeTable()
  const key = { 'idempotency-key': 'kept' }
  const once = { idempotency: { appId: 'app', version: 1 }, actions: [add('a')] }
  const first = await server.commit(table, once, key)
  await server.commit(table, { actions: [add('b')] })
  const between = await walEnd()
  const again = await server.commit(table, once, key)
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.equal(again.text, first.text)
  t.ok(walPlace(tokenOf(again)) >= between)
  const duplicate = await server.commit(table, once)
  t.match(duplicate, { status: 200, body: { status: 'duplicate' } })
  t.ok(walPlace(tokenOf(duplicate)) >= between)
  const made = { 'idempotency-key': 'made' }
  const table1 = await server.post('/tables', definition('once'), made)
  const table2 = await server.post('/tables', definition('once'), made)
  t.equal(table2.text, table1.text)
  t.ok(walPlace(tokenOf(table2)) >= walPlace(tokenOf(table1)))
  const kept = await server.db.selectFrom('idempotency_keys').select('headers').execute()
  t.equal(kept.length, 2)
  for (const { headers } of kept) t.notMatch(JSON.stringify(headers), /consistency-token/)
})

t.test('what writes nothing answers none', async (t) => {
  const table = await server.makeTable()
  const refused = { expectedVersion: 7, actions: [] }
  const key = { 'idempotency-key': 'refused' }
  const answers = {
    refused: await server.commit(table, refused),
    refusedUnderAKey: await server.commit(table, refused, key),
    refusedAgain: await server.commit(table, refused, key),
    checked: await server.post(`/tables/${table}/commits/check`, { actions: [] }),
    scanned: await server.post(`/tables/${table}/scan`, {}),
    read: await server.get(`/tables/${table}`),
    lost: await server.call('DELETE', '/tables/nowhere'),
  }
  for (const [name, answer] of Object.entries(answers)) t.equal(tokenOf(answer), null, name)
})

t.test('a write whose token is lost has succeeded nevertheless', async (t) => {
  const database = await createTestDatabase()
  t.teardown(() => database.drop())
  const proxy = await startProxy(t, database)
  const settings = { DATABASE_URL: proxy.url, DATA_DIR: await makeDataDir(t) }
  const far = await startServerProcess(t, settings)
  const query = 'pg_current_wal_insert_lsn'
  proxy.garble(query)
  const made = await far.post('/tables', definition('far'))
  t.match([made.status, tokenOf(made)], [201, null])
  proxy.garble(query)
  const first = await far.commit('far', { actions: [add('a')] })
  t.match([first.status, first.body.version, tokenOf(first)], [201, 1, null])
  const second = await far.commit('far', { actions: [add('b')] })
  t.match([second.status, second.body.version, tokenOf(second)], [201, 2, String])
})
