import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createPool, type Pool } from '../../src/database/connect.ts'
import { type Route, routeTo } from '../../src/database/route.ts'
import { toProblem } from '../../src/database/sqlstate.ts'
import { prepareCluster } from '../support/cluster.ts'
import { promote, startPrimary, startReplica } from '../support/replica.ts'

const primary = await startPrimary(t)
const standby = await startReplica(t, primary)
const hosts = (...ports: number[]) => ports.map((port) => `127.0.0.1:${port}`).join(',')
const urlOf = (...ports: number[]) => `postgres://deltaworks@${hosts(...ports)}/postgres`

function openPool(connection: Route): Pool {
  const pool = createPool({
    connection,
    max: 3,
    waitMsMax: 5000,
    lockMsMax: 5000,
    statementMsMax: 5000,
    onError: () => {},
  })
  t.teardown(() => pool.end())
  return pool
}

const portOf = async (pool: Pool): Promise<number> =>
  Number((await pool.query('select inet_server_port() as port')).rows[0].port)
const write = (pool: Pool) => pool.query('create table if not exists written (id int)')

/** Writes until it works; all that is refused on the way must be what a client is told to come back for. */
async function writeAtLast(pool: Pool): Promise<number> {
  for (let refusals = 0; ; refusals += 1) {
    const error = await write(pool).then(
      () => undefined,
      (error) => error,
    )
    if (error === undefined) return refusals
    t.match(toProblem(error), { code: 'database-unavailable', headers: { 'retry-after': '1' } })
    await sleep(20)
  }
}

t.test('a host that nobody listens at and a standby are passed over', async (t) => {
  const nobody = await prepareCluster(t)
  const pool = openPool(
    (await routeTo(urlOf(nobody.port, standby.port, primary.port), {})) as Route,
  )
  t.equal(await portOf(pool), primary.port)
})

t.test('while there is no primary, the error says what each host is', async (t) => {
  const nobody = await prepareCluster(t)
  const route = (await routeTo(urlOf(nobody.port, standby.port), {})) as Route
  const error = await openPool(route)
    .connect()
    .catch((error) => error)
  t.match(error.message, `127.0.0.1:${nobody.port}: connect ECONNREFUSED`)
  t.match(error.message, `127.0.0.1:${standby.port}: it is a standby`)
  t.match(toProblem(error), { code: 'database-unavailable' })
})

t.test('one host that is said to be the primary is held to it', async (t) => {
  const said = `${urlOf(standby.port)}?target_session_attrs=primary`
  const route = (await routeTo(said, {})) as Route
  await t.rejects(openPool(route).connect(), { message: 'it is a standby' })
  const plain = await routeTo(urlOf(standby.port), {})
  t.match(plain, { connectionString: urlOf(standby.port) })
})

t.test('a write to a standby is told as one to come back with', async (t) => {
  const error = await standby.query('create table nowhere (id int)').catch((error) => error)
  t.match(toProblem(error), { code: 'database-unavailable', headers: { 'retry-after': '1' } })
})

t.test('when the primary is fenced off and the standby promoted', async (t) => {
  const route = (await routeTo(urlOf(primary.port, standby.port), {})) as Route
  const pool = openPool(route)
  let moves = 0
  route.onMove(() => {
    moves += 1
  })
  await write(pool)
  const fence = async (isFenced: boolean) => {
    await primary.query(`alter system set default_transaction_read_only = ${isFenced}`)
    await primary.query('select pg_reload_conf()')
  }
  await fence(true)
  const error = await pool
    .query('select pg_sleep(0.1)')
    .then(() => write(pool))
    .catch((error) => error)
  t.match(toProblem(error), { code: 'database-unavailable' }, 'nothing is written to it')
  await promote(standby)
  await writeAtLast(pool)
  t.equal(await portOf(pool), standby.port, 'the other is found')
  t.equal(moves, 1)

  await fence(false)
  route.doubt()
  t.equal(
    await portOf(pool),
    standby.port,
    'the first is not gone back to, for its timeline is old',
  )
  const fresh = openPool((await routeTo(urlOf(primary.port, standby.port), {})) as Route)
  t.equal(await portOf(fresh), standby.port, 'nor by one that has never seen the other')
  await standby.stop()
  const refusal = await pool.query('select').catch((error) => error)
  await t.rejects(
    pool.connect(),
    { message: /on timeline 1, behind 2/ },
    'not even when it is all there is',
  )
  t.match(toProblem(refusal), { code: 'database-unavailable' })
})
