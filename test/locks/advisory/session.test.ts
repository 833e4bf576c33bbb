import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import { createDb } from '../../../src/database/connect.ts'
import { openLoneSession } from '../../../src/database/lone-session.ts'
import type { AdvisoryLock } from '../../../src/locks/advisory/rules.ts'
import { createAdvisorySession } from '../../../src/locks/advisory/session.ts'
import { startCluster } from '../../support/cluster.ts'
import { copyPoolOf } from '../../support/postgres.ts'

const roomFor5000 = { max_connections: '40', max_locks_per_transaction: '200' }
const cluster = await startCluster(t, { settings: { fsync: 'off', ...roomFor5000 } })
const connection = { connectionString: cluster.url }

const open = () =>
  openLoneSession({
    connection,
    waitMsMax: 5000,
    lockMsMax: 5000,
    statementMsMax: 5000,
    pipeline: false,
    onError: () => {},
  })

const one = (key: number | bigint): AdvisoryLock => ({ key: BigInt(key), mode: 'exclusive' })
const shared = (key: number | bigint): AdvisoryLock => ({ key: BigInt(key), mode: 'shared' })

/** A session that is open, and what it was told of losses. */
async function openSession({ heartbeatMs = 200, ways = open } = {}) {
  const lost: AdvisoryLock[][] = []
  const session = createAdvisorySession({
    open: ways,
    heartbeatMs,
    onLost: (locks) => lost.push([...locks]),
    log: { warn() {} },
  })
  await session.start()
  return { ...session, lost }
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10)
}

const psql = new pg.Client(connection)
await psql.connect()
psql.on('error', () => {})
t.teardown(() => psql.end().catch(() => {}))

/** What `psql` gets where it tries to lock a key. */
async function tries(key: number | bigint): Promise<boolean> {
  const { rows } = await psql.query('select pg_try_advisory_lock($1) as locked', [key])
  if (rows[0].locked) await psql.query('select pg_advisory_unlock($1)', [key])
  return rows[0].locked
}

const locksOf = async (pid: number) => {
  const { rows } = await psql.query(
    `select classid::bigint << 32 | objid::bigint as key, mode from pg_locks
     where locktype = 'advisory' and pid = $1 order by 1`,
    [pid],
  )
  return rows.map(({ key, mode }) => [Number(key), mode])
}

function pidOf({ status }: Pick<Awaited<ReturnType<typeof openSession>>, 'status'>) {
  const now = status()
  if (now.state !== 'open') throw new Error(`the session is ${now.state}`)
  return now.pid
}

t.test('other clients of the database are kept out, and keep out', async (t) => {
  const session = await openSession()
  await psql.query('select pg_advisory_lock(12345)')
  t.strictSame(await session.take([one(12345), one(-7)]), [false, true])
  await psql.query('select pg_advisory_unlock(12345)')
  t.strictSame(await session.take([one(12345)]), [true])
  t.equal(await tries(12345), false)
  t.equal(await tries(-7), false)
  t.strictSame(await locksOf(pidOf(session)), [
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
    const session = await openSession()
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
    t.strictSame(session.status(), { state: 'open', pid: pidOf(session), held: 3 })
    await session.stop()
  },
)

t.test('thousands of locks are held over one session, and one too many fails alone', async (t) => {
  const session = await openSession({ heartbeatMs: 5000 })
  const pid = pidOf(session)
  const many = Array.from({ length: 5000 }, (_, key) => one(key + 1_000_000))
  const taken = await session.take(many)
  t.ok(taken.every(Boolean))
  t.equal((await locksOf(pid)).length, 5000)
  const { rows } = await psql.query(
    `select count(*)::int as count from pg_stat_activity where application_name = 'deltaworks'`,
  )
  t.equal(rows[0].count, 1)
  const tooMany = Array.from({ length: 50_000 }, (_, key) => one(key + 2_000_000))
  await t.rejects(session.take(tooMany), { code: 'overloaded', message: /the 5000 that are held/ })
  t.equal((await locksOf(pid)).length, 5000)
  await session.give(many.slice(1))
  t.strictSame(await locksOf(pid), [[1_000_000, 'ExclusiveLock']])
  await session.stop()
})

t.test('a loss is told with all that was held, and the session comes back', async (t) => {
  const session = await openSession({ heartbeatMs: 60_000 })
  const before = pidOf(session)
  await session.take([one(1), shared(2), shared(2), one(3)])
  await session.give([one(3)])
  const taking = session.take([one(4)])
  await taking
  await psql.query('select pg_terminate_backend($1)', [before])
  await until(() => session.lost.length > 0)
  t.strictSame(session.lost, [[one(1), shared(2), one(4)]])
  await until(() => session.status().state === 'open')
  t.not(pidOf(session), before)
  t.strictSame(session.status(), { state: 'open', pid: pidOf(session), held: 0 })
  t.strictSame(await session.take([one(1)]), [true])
  await session.give([one(4)])
  t.equal(session.lost.length, 1)
  await session.stop()
})

t.test(
  'a PostgreSQL that stands still is taken for lost, and so is one that is killed',
  async (t) => {
    const session = await openSession({ heartbeatMs: 500 })
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
    await cluster.start({ fsync: 'off', ...roomFor5000 })
    await until(() => session.status().state === 'open')
    t.strictSame(await session.take([one(1)]), [true])
    await session.stop()
  },
)

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
    const session = await openSession({ ways: pooled })
    t.match(session.status(), { state: 'refused', reason: /two connections were answered by one/ })
    await t.rejects(session.take([one(1)]), {
      code: 'backend-not-available',
      message: /as a pooler of transactions does: two connections/,
    })
    await session.stop()
  },
)
