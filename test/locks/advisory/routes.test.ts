import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import { unbackedLeases } from '../../../src/locks/sweeps.ts'
import { add } from '../../support/api.ts'
import { startTestServer } from '../../support/server.ts'

const server = await startTestServer(t, {}, { mirror: false })
const beside = await startTestServer(t, {}, { beside: server, mirror: false })
const { db, post } = server

const psql = new pg.Client(server.database.url)
await psql.connect()
t.teardown(() => psql.end())

const acquire = (name: string, holder: string, more: object = {}, at = server) =>
  at.post(`/locks/${name}/acquire`, { holder, ttlMs: 60_000, backend: 'advisory', ...more })
const release = (name: string, holder: string, token: number, at = server) =>
  at.post(`/locks/${name}/release`, { holder, token })
const renew = (name: string, holder: string, token: number) =>
  post(`/locks/${name}/renew`, { holder, token })

async function tries(key: string): Promise<boolean> {
  const { rows } = await psql.query(`select pg_try_advisory_lock(${key}) as locked`)
  if (rows[0].locked) await psql.query(`select pg_advisory_unlock(${key})`)
  return rows[0].locked
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10)
}

t.test('psql keeps the lock out, and is kept out', async (t) => {
  await psql.query('select pg_advisory_lock(12345)')
  const refused = await acquire('psql', 'a', { advisoryKey: 12345 })
  t.match(refused, { status: 409, body: { code: 'lock-held', advisoryKey: 12345, holders: [] } })
  t.equal((await server.get('/locks/psql')).body.numHolders, 0, 'and leaves no lease')
  const waiting = acquire('psql', 'a', { advisoryKey: '12345', waitMs: 20_000 })
  await sleep(100)
  await psql.query('select pg_advisory_unlock(12345)')
  const { status, body } = await waiting
  t.equal(status, 200)
  t.equal(await tries('12345'), false)
  const { rows } = await psql.query(
    `select objid::int as key from pg_locks where locktype = 'advisory' and objsubid = 1 and granted
       and database = (select oid from pg_database where datname = current_database())`,
  )
  t.strictSame(rows, [{ key: 12345 }])
  t.equal((await release('psql', 'a', body.token)).status, 200)
  t.equal(await tries('12345'), true)
})

t.test('a lock has the key of its name where it names none', async (t) => {
  const { body } = await acquire('named', 'a')
  t.equal(await tries(`hashtextextended('named', 0)`), false)
  await release('named', 'a', body.token)
  t.equal(await tries(`hashtextextended('named', 0)`), true)
})

t.test('callers of one server are kept apart, and share where they ask to', async (t) => {
  const key = { advisoryKey: 77 }
  const first = await acquire('own', 'a', key)
  t.match(await acquire('own', 'b', key), { status: 409, body: { holders: [{ holder: 'a' }] } })
  t.match(await acquire('other name', 'b', key), { status: 400 })
  t.match(await acquire('other-name', 'b', key), { status: 409, body: { advisoryKey: 77 } })
  t.equal((await acquire('own', 'a', key)).body.token, first.body.token)
  t.match(await acquire('own', 'a', { advisoryKey: 78 }), {
    status: 400,
    body: { errors: [{ pointer: '/advisoryKey', message: /must be 77/ }] },
  })
  t.equal((await renew('own', 'a', first.body.token)).status, 200, 'which loses nothing')
  const waiting = acquire('own', 'b', { ...key, waitMs: 20_000 })
  await release('own', 'a', first.body.token)
  const second = await waiting
  t.ok(second.body.token > first.body.token)
  await release('own', 'b', second.body.token)
  const shared = { ...key, mode: 'shared' }
  const [one, two] = [await acquire('own', 'a', shared), await acquire('own', 'b', shared, beside)]
  t.strictSame([one.status, two.status], [200, 200], 'also over two servers')
  await psql.query('select pg_advisory_lock_shared(77)')
  t.equal(await tries('77'), false)
  await psql.query('select pg_advisory_unlock_shared(77)')
  await release('own', 'a', one.body.token)
  t.equal(await tries('77'), false)
  await release('own', 'b', two.body.token, beside)
  t.equal(await tries('77'), true)
})

t.test('what is released at another server, forced, or let expire, is given back', async (t) => {
  const key = { advisoryKey: 99 }
  const { body } = await acquire('left', 'a', key)
  t.equal((await release('left', 'a', body.token, beside)).status, 200)
  await server.settleAdvisoryLocks()
  t.equal(await tries('99'), true)
  await acquire('left', 'a', key)
  t.equal((await server.call('DELETE', '/locks/left')).status, 200)
  await until(() => tries('99'))
  await acquire('left', 'a', { ...key, ttlMs: 100 })
  await until(
    async () => (await post('/locks/left/acquire', { holder: 'b', ttlMs: 1000 })).status === 200,
  )
  await server.settleAdvisoryLocks()
  t.equal(await tries('99'), true)
})

t.test('a session that is lost takes the locks with it, and their holders are told', async (t) => {
  const key = { advisoryKey: 5 }
  const table = await server.makeTable()
  const { body } = await acquire('lost', 'a', key)
  const write = (token: number) =>
    server.commit(table, { fences: [{ lock: 'lost', token }], actions: [add(`f${token}`)] })
  t.equal((await write(body.token)).status, 201)
  const { rows } = await psql.query(
    `select pid from pg_locks where locktype = 'advisory' and objid = 5 and granted
       and database = (select oid from pg_database where datname = current_database())`,
  )
  await psql.query('select pg_terminate_backend($1)', [rows[0].pid])
  await until(async () => (await renew('lost', 'a', body.token)).body.code === 'lock-lost')
  // The session is opened anew meanwhile.
  let next = await acquire('lost', 'b', key)
  while (next.status === 503) next = await acquire('lost', 'b', key)
  t.ok(next.body.token > body.token)
})

t.test('a guard asks for the advisory lock too, and a dead server holds up nobody', async (t) => {
  const table = await server.makeTable()
  const key = { advisoryKey: 6 }
  const { body } = await acquire('guarded', 'a', key)
  // As if the server that has the lock had died, and somebody else got its number since.
  await psql.query(
    'update lock_holders set backend_pid = 1 where token = $1 and advisory_key = 6',
    [body.token],
  )
  const fences = [{ lock: 'guarded', token: body.token }]
  t.match((await server.commit(table, { fences, actions: [add('a')] })).body, {
    code: 'stale-fence',
    currentToken: null,
  })
  t.match((await renew('guarded', 'a', body.token)).body, { code: 'lock-lost' })
  t.equal((await acquire('guarded', 'b', { backend: 'lease' })).status, 409)
  await unbackedLeases({ db, keeper: server.keeper }).sweep()
  t.equal((await acquire('guarded', 'b', { backend: 'lease' })).status, 200)
})

t.test('bad keys are refused', async (t) => {
  for (const advisoryKey of [1.5, 'x', '9223372036854775808', 4_919_871_002]) {
    const { body } = await acquire('bad', 'a', { advisoryKey })
    t.match(
      body,
      { code: 'invalid-request', errors: [{ pointer: '/advisoryKey' }] },
      `${advisoryKey}`,
    )
  }
  const lease = await acquire('bad', 'a', { backend: 'lease', advisoryKey: 1 })
  t.match(lease.body, { errors: [{ pointer: '/advisoryKey', message: /belongs to/ }] })
})
