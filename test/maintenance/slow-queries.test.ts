import t from 'tap'
import { createDb } from '../../src/database/connect.ts'
import { listSlowQueries } from '../../src/maintenance/slow-queries.ts'
import { startCluster } from '../support/cluster.ts'
import { poolOf } from '../support/postgres.ts'
import { startTestServer } from '../support/server.ts'

t.test('where nothing counts queries, that is told', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const { status, body } = await server.get('/maintenance/statistics')
  t.equal(status, 200)
  t.match(body.slowQueries, { available: false, reason: /extension .* is absent/, items: [] })
})

t.test('where they are counted, those that took most time are told', async (t) => {
  const cluster = await startCluster(t)
  await cluster.query('create schema elsewhere')
  await cluster.query('create extension pg_stat_statements schema elsewhere')
  const look = async () => {
    const db = createDb(poolOf({ connectionString: cluster.url }))
    return listSlowQueries(db).finally(() => db.destroy())
  }
  t.match(await look(), { available: false, reason: /shared_preload_libraries/, items: [] })
  await cluster.stop()
  await cluster.start({ shared_preload_libraries: 'pg_stat_statements' })
  for (let call = 0; call < 3; call += 1) await cluster.query('select pg_sleep(0.05)')
  const { available, items } = await look()
  t.equal(available, true)
  const slept = items.find(({ query }) => query.includes('pg_sleep'))
  t.match(slept, { query: 'select pg_sleep($1)', calls: 3, rows: 3 })
  t.ok((slept?.totalMs ?? 0) >= 150 && (slept?.meanMs ?? 0) >= 50 && (slept?.maxMs ?? 0) >= 50)
})
