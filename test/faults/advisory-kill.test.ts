import pg from 'pg'
import t from 'tap'
import { listAdvisoryLocks, one, startAdvisorySession, until } from '../support/advisory-locks.ts'
import { startCluster } from '../support/cluster.ts'

const settings = { fsync: 'off', max_connections: '40', max_locks_per_transaction: '200' }
const cluster = await startCluster(t, { settings })
const connection = { connectionString: cluster.url }

t.test('thousands of locks are held over one session, and one too many fails alone', async (t) => {
  const psql = new pg.Client(connection)
  await psql.connect()
  const session = await startAdvisorySession(connection, { heartbeatMs: 5000 })
  const pid = session.pid()
  const many = Array.from({ length: 5000 }, (_, key) => one(key + 1_000_000))
  const taken = await session.take(many)
  t.ok(taken.every(Boolean))
  t.equal((await listAdvisoryLocks(psql, pid)).length, 5000)
  const { rows } = await psql.query(
    `select count(*)::int as count from pg_stat_activity where application_name = 'deltaworks'`,
  )
  t.equal(rows[0].count, 1)
  const tooMany = Array.from({ length: 50_000 }, (_, key) => one(key + 2_000_000))
  await t.rejects(session.take(tooMany), { code: 'overloaded', message: /the 5000 that are held/ })
  t.equal((await listAdvisoryLocks(psql, pid)).length, 5000)
  await session.give(many.slice(1))
  t.strictSame(await listAdvisoryLocks(psql, pid), [[1_000_000, 'ExclusiveLock']])
  await session.stop()
  await psql.end()
})

t.test(
  'a PostgreSQL that stands still is taken for lost, and so is one that is killed',
  async (t) => {
    const session = await startAdvisorySession(connection, { heartbeatMs: 500 })
    await session.take([one(1)])
    cluster.freeze()
    await until(() => session.lost.length > 0)
    t.strictSame(session.status(), { state: 'away' })
    await t.rejects(session.take([one(1)]), { code: 'database-unavailable', status: 503 })
    cluster.thaw()
    await until(() => session.status().state === 'open')
    await until(async () => (await session.take([one(1)]))[0] === true)
    const losses = session.lost.length
    await cluster.kill()
    await until(() => session.lost.length > losses)
    await cluster.start(settings)
    await until(() => session.status().state === 'open')
    t.strictSame(await session.take([one(1)]), [true])
    await session.stop()
  },
)
