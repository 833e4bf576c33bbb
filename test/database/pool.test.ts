import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { createPool, type Pool, type PoolOptions } from '../../src/database/connect.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startProxy } from '../support/proxy.ts'

const database = await createTestDatabase()
t.teardown(() => database.drop())

function makePool(t: Test, options: Partial<PoolOptions>): Pool {
  const pool = createPool({
    connection: database.connection,
    max: 4,
    waitMsMax: 5000,
    lockMsMax: 5000,
    statementMsMax: 5000,
    onError: () => {},
    ...options,
  })
  t.teardown(() => pool.end())
  return pool
}

async function processOf(pool: Pool): Promise<number> {
  return (await pool.query('select pg_backend_pid() as pid')).rows[0].pid
}

/** Which of the processes of PostgreSQL are still there. */
async function living(pids: number[]): Promise<number[]> {
  const client = new pg.Client(database.connection)
  await client.connect()
  const { rows } = await client.query('select pid from pg_stat_activity where pid = any($1)', [
    pids,
  ])
  await client.end()
  return rows.map(({ pid }) => pid)
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5)
}

async function occupy(pool: Pool, count: number): Promise<number[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => pool.connect()))
  const pids = clients.map((client) => (client as unknown as { processID: number }).processID)
  for (const client of clients) client.release()
  return pids
}

t.test('none is opened before it is needed, and none beyond the maximum', async (t) => {
  const pool = makePool(t, { max: 2, waitMsMax: 1000 })
  t.equal(pool.totalCount, 0)
  const held = await Promise.all([pool.connect(), pool.connect()])
  await t.rejects(pool.connect(), { message: 'timeout exceeded when trying to connect' })
  t.equal(pool.totalCount, 2)
  for (const client of held) client.release()
  t.equal(await processOf(pool).then(() => pool.totalCount), 2)
})

t.test(
  'the minimum is opened at once and outlives idleness, what is beyond it does not',
  async (t) => {
    const pool = makePool(t, { min: 2, idleMsMax: 20 })
    await until(() => pool.idleCount === 2)
    const pids = await occupy(pool, 4)
    t.equal(new Set(pids).size, 4)
    await until(() => pool.totalCount === 2)
    await until(async () => (await living(pids)).length === 2)
    t.equal(pool.totalCount, 2)
  },
)

t.test('the minimum is filled up again', async (t) => {
  const pool = makePool(t, { min: 2 })
  await until(() => pool.idleCount === 2)
  const client = await pool.connect()
  client.release(true)
  await until(() => pool.totalCount === 1)
  await until(() => pool.idleCount === 2)
})

t.test('what nobody uses is closed', async (t) => {
  const pool = makePool(t, { idleMsMax: 20 })
  const pid = await processOf(pool)
  await until(() => pool.totalCount === 0)
  await until(async () => (await living([pid])).length === 0)
})

t.test('what is old is closed once nobody uses it', async (t) => {
  const pool = makePool(t, { ageMsMax: 50 })
  const client = await pool.connect()
  const { rows } = await client.query('select pg_backend_pid() as pid from pg_sleep(0.2)')
  client.release()
  t.not(await processOf(pool), rows[0].pid)
  await until(async () => (await living([rows[0].pid])).length === 0)
})

t.test('a connection that is dead and does not say so', async (t) => {
  const proxy = await startProxy(t, database)
  const connection = { connectionString: proxy.url }
  for (const pipeline of [true, false]) {
    const pool = makePool(t, { connection, pipeline, testsOnAcquire: true, statementMsMax: 100 })
    const before = await occupy(pool, 3)
    proxy.freeze()
    const pid = await processOf(pool)
    t.notOk(before.includes(pid), 'is not given out')
    t.equal(pool.totalCount, 1, 'the others are given up with it')
    const client = await pool.connect()
    client.release()
    t.equal((await occupy(pool, 2)).filter((one) => before.includes(one)).length, 0)
  }
})

t.test('a connection that is there is given out again', async (t) => {
  const pool = makePool(t, { testsOnAcquire: true })
  const pid = await processOf(pool)
  t.equal(await processOf(pool), pid)
  t.equal(
    await new Promise((resolve) =>
      pool.query('select 7 as n', (_, { rows }) => resolve(rows[0].n)),
    ),
    7,
  )
})

t.test('errors of a pool say no secret', async (t) => {
  const { host, port } = database.connection
  const url = `postgres://nobody:s3cret@${encodeURIComponent(host)}:${port}/nowhere`
  for (const testsOnAcquire of [true, false]) {
    const pool = makePool(t, { connection: { connectionString: url }, testsOnAcquire })
    const error = await pool.connect().catch((error) => error)
    t.equal(error.code, '28000')
    t.notMatch(`${error.stack} ${JSON.stringify(error)}`, 's3cret')
  }
})
