import { sql } from 'kysely'
import t from 'tap'
import { createDb } from '../../src/database/connect.ts'
import { createTestDatabase, poolOf } from '../support/postgres.ts'
import { makeDataDir, startServerProcess } from '../support/process.ts'
import { startProxy } from '../support/proxy.ts'
import { beginAt, clientOf, get, put } from '../support/state-transactions.ts'

t.setTimeout(120_000)

const database = await createTestDatabase()
t.teardown(() => database.drop())
const db = createDb(poolOf(database.connection))
t.teardown(() => db.destroy())
const proxy = await startProxy(t, database)
const settings = { DATABASE_URL: database.url, DATA_DIR: await makeDataDir(t) }
const beside = await startServerProcess(t, settings)

const pinned = async () => {
  const { rows } = await sql`
    select from pg_stat_activity
    where datname = current_database() and state = 'idle in transaction'`.execute(db)
  return rows.length
}
const isThere = async (key: string) =>
  (await beside.get(`/state/kept/entries/${key}`)).status === 200

t.test('a server that stops rolls its transactions back', async (t) => {
  const server = await startServerProcess(t, settings)
  const open = await Promise.all([1, 2, 3].map(() => beginAt(server)))
  for (const tx of open) await tx.run('kept', [get('stopped'), put('stopped', 1)])
  t.equal(await pinned(), 3)
  t.match((await beside.get(open[0]?.path ?? '')).body, { status: 421, server: server.address })
  t.strictSame(await server.stop(), { code: 0, signal: null })
  for (const tx of open) {
    const answer = await clientOf(beside, tx).commit()
    t.match(answer.body, { code: 'transaction-not-active', state: 'rolled-back' })
  }
  t.equal(await pinned(), 0)
  t.notOk(await isThere('stopped'))
})

t.test('what a killed server had is gone, and the next one says so', async (t) => {
  const server = await startServerProcess(t, settings)
  const tx = await beginAt(server)
  await tx.run('kept', [get('killed'), put('killed', 1)])
  await server.kill()
  t.match((await beside.get(tx.path)).body, { status: 421, server: server.address })
  const { port } = new URL(server.address)
  const next = await startServerProcess(t, { ...settings, PORT: port })
  const answer = await clientOf(next, tx).commit()
  t.match(answer.body, { code: 'transaction-not-active', state: 'rolled-back' })
  t.notOk(await isThere('killed'))
  t.equal((await beginAt(next)).begun.status, 201)
  await next.stop()
})

t.test('a commit whose answer from PostgreSQL is lost is told as what it was', async (t) => {
  const server = await startServerProcess(t, { ...settings, DATABASE_URL: proxy.url })
  for (const isolationLevel of ['ReadCommitted', 'RepeatableRead', 'Serializable']) {
    const key = `lost-${isolationLevel}`
    const tx = await beginAt(server, { isolationLevel })
    await tx.run('kept', [put(key, 1)])
    const lost = proxy.loseCommit({ with: 'insert into state_history' })
    const first = await tx.commit()
    await lost
    t.match(first, { status: 200, body: { state: 'committed' } }, first.text)
    t.equal((await tx.commit()).text, first.text)
    t.match((await beside.get(`/state/kept/entries/${key}`)).body, { version: 1 })
  }
  await server.stop()
})

t.test('a commit of which nothing is known can only be committed again', async (t) => {
  const server = await startServerProcess(t, { ...settings, DATABASE_URL: proxy.url })
  for (const isolationLevel of ['ReadCommitted', 'Serializable']) {
    const key = `doubted-${isolationLevel}`
    const tx = await beginAt(server, { isolationLevel })
    await tx.run('kept', [put(key, 1)])
    const lost = proxy.loseCommit({ with: 'insert into state_history' })
    proxy.garble('from state_transactions s left join transactions t')
    const first = await tx.commit()
    await lost
    for (const answer of [first, await tx.run('kept', [put(key, 2)]), await tx.rollBack()]) {
      t.match(answer.body, { status: 503, code: 'database-unavailable', detail: /not known/ })
    }
    const second = await tx.commit()
    t.match(second, { status: 200, body: { state: 'committed' } }, second.text)
    t.match((await beside.get(`/state/kept/entries/${key}`)).body, { version: 1, value: 1 })
  }
  await server.stop()
})
