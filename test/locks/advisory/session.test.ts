import pg from 'pg'
import t from 'tap'
import { createDb } from '../../../src/database/connect.ts'
import {
  listAdvisoryLocks,
  one,
  shared,
  startAdvisorySession,
  until,
} from '../../support/advisory-locks.ts'
import { copyPoolOf, createTestDatabase } from '../../support/postgres.ts'

const { connection, drop } = await createTestDatabase()
t.teardown(drop)
const psql = new pg.Client(connection)
await psql.connect()
t.teardown(() => psql.end())

/** What `psql` gets where it tries to lock a key. */
async function tries(key: number | bigint): Promise<boolean> {
  const { rows } = await psql.query('select pg_try_advisory_lock($1) as locked', [key])
  if (rows[0].locked) await psql.query('select pg_advisory_unlock($1)', [key])
  return rows[0].locked
}

t.test('other clients of the database are kept out, and keep out', async (t) => {
  const session = await startAdvisorySession(connection)
  await psql.query('select pg_advisory_lock(12345)')
  t.strictSame(await session.take([one(12345), one(-7)]), [false, true])
  await psql.query('select pg_advisory_unlock(12345)')
  t.strictSame(await session.take([one(12345)]), [true])
  t.equal(await tries(12345), false)
  t.equal(await tries(-7), false)
  t.strictSame(await listAdvisoryLocks(psql, session.pid()), [
    [-7, 'ExclusiveLock'],
    [12345, 'ExclusiveLock'],
  ])
  await session.give([one(12345)])
  t.equal(await tries(12345), true)
  t.equal(await tries(-7), false)
  await session.stop()
  await until(() => tries(-7))
  t.strictSame(session.lost, [], 'what is given back was not lost')
  await t.rejects(session.take([one(1)]), { code: 'database-unavailable' })
})

t.test(
  'what PostgreSQL would grant one session again and again, one holder has alone',
  async (t) => {
    const session = await startAdvisorySession(connection)
    t.strictSame(await session.take([one(1), one(1), shared(1)]), [true, false, false])
    t.strictSame(await session.take([shared(2), shared(2), one(2)]), [true, true, false])
    t.strictSame(await session.take([shared(2), one(3)]), [true, true])
    await psql.query('select pg_advisory_lock_shared(2)')
    t.equal(await tries(2), false, 'shared with another client')
    await psql.query('select pg_advisory_unlock_shared(2)')
    for (let holder = 0; holder < 3; holder += 1) {
      t.equal(await tries(2), false)
      await session.give([shared(2)])
    }
    t.equal(await tries(2), true)
    await session.give([shared(1), one(4)])
    t.equal(await tries(1), false, 'only what was taken is given back')
    const [first, second] = await Promise.all([
      session.take([one(9)]),
      session.take([one(9)]),
      session.give([one(3)]),
      session.take([one(5)]),
    ])
    t.strictSame([first, second], [[true], [false]], 'also of those who come at once')
    t.equal(await tries(3), true)
    t.strictSame(session.status(), { state: 'open', pid: session.pid(), held: 3 })
    await session.stop()
  },
)

t.test('a loss is told with all that was held, and the session comes back', async (t) => {
  const session = await startAdvisorySession(connection)
  const before = session.pid()
  await session.take([one(1), shared(2), shared(2), one(3)])
  await session.give([one(3)])
  const taking = session.take([one(4)])
  await taking
  await psql.query('select pg_terminate_backend($1)', [before])
  await until(() => session.lost.length > 0)
  t.strictSame(session.lost, [[one(1), shared(2), one(4)]])
  await until(() => session.status().state === 'open')
  t.not(session.pid(), before)
  t.strictSame(session.status(), { state: 'open', pid: session.pid(), held: 0 })
  t.strictSame(await session.take([one(1)]), [true])
  await session.give([one(4)])
  t.equal(session.lost.length, 1)
  await session.stop()
})

t.test(
  'where connections are shared out by transaction it is refused, with the reason',
  async (t) => {
    const pool = copyPoolOf(connection)
    t.teardown(() => pool.end())
    const pooled = async () => ({
      db: createDb(pool),
      ended: new Promise<void>(() => {}),
      end() {},
    })
    const session = await startAdvisorySession(pooled)
    t.match(session.status(), { state: 'refused', reason: /two connections were answered by one/ })
    await t.rejects(session.take([one(1)]), {
      code: 'backend-not-available',
      message: /as a pooler of transactions does: two connections/,
    })
    await session.stop()
  },
)
