import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pino from 'pino'
import t, { type Test } from 'tap'
import { loadConfig } from '../../../src/config.ts'
import { startServer } from '../../../src/server.ts'
import { add, createApi, type TestAnswer } from '../../support/api.ts'
import { promote, startPrimary, startReplica } from '../../support/replica.ts'

const primary = await startPrimary(t)
const replica = await startReplica(t, primary)
const dataDir = await mkdtemp(join(tmpdir(), 'deltaworks-data-'))
t.teardown(() => rm(dataDir, { recursive: true, force: true }))
const config = loadConfig({
  DATABASE_URL: primary.url,
  REPLICA_URLS: replica.url,
  REPLICA_CHECK_MS: '20',
  DATA_DIR: dataDir,
  PORT: '0',
})
const server = await startServer(config, pino({ level: 'silent' }), () => {})
t.teardown(() => server.stop())
const api = createApi(server.address)
const name = `127.0.0.1:${replica.port}`

const anyReplica = { 'read-preference': 'replica' }
const within = (ms: number) => ({ 'read-preference': `replica; max-lag-ms=${ms}` })
const servedBy = ({ headers }: TestAnswer) => headers.get('served-by')
const tokenOf = ({ headers }: TestAnswer) => headers.get('consistency-token') ?? ''

async function seen() {
  const { body } = await api.get('/replication')
  return body.readReplicas[0]
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5)
}

const isHealthy = async () => (await seen()).healthy
/** Until the replica has all that was committed before. */
async function caughtUp(): Promise<void> {
  const [{ place }] = await primary.query('select pg_current_wal_flush_lsn() as place')
  await until(async () => {
    const text = `select pg_last_wal_replay_lsn() >= '${place}' as reached`
    return (await replica.query(text))[0].reached
  })
}

/** Has the replica replay nothing until the end of a test. */
async function pause(t: Test): Promise<void> {
  await replica.query('select pg_wal_replay_pause()')
  await until(async () => {
    const [{ state }] = await replica.query('select pg_get_wal_replay_pause_state() as state')
    return state === 'paused'
  })
  t.teardown(async () => {
    await replica.query('select pg_wal_replay_resume()')
    await caughtUp()
  })
}

await until(isHealthy)

t.test('a read goes where it says', async (t) => {
  const table = await api.makeTable()
  await caughtUp()
  const path = `/tables/${table}`
  t.equal(servedBy(await api.get(path)), 'primary')
  t.equal(servedBy(await api.get(path, { 'read-preference': 'primary' })), 'primary')
  t.equal(servedBy(await api.get(path, anyReplica)), 'replica')
  t.equal(servedBy(await api.call('HEAD', path, { headers: anyReplica })), 'replica')
  t.equal(servedBy(await api.get(path, within(60_000))), 'replica')
  t.equal(servedBy(await api.get('/tables/nowhere', anyReplica)), 'replica', 'a refusal too')
  t.equal(servedBy(await api.get('/replication', anyReplica)), 'primary')
  t.equal(servedBy(await api.get('/transactions', anyReplica)), 'primary')
  t.equal(servedBy(await api.get('/version', anyReplica)), null)
  t.equal(servedBy(await api.post('/tables', {}, anyReplica)), null)
})

t.test('what offers replicas reads nothing from the primary', async (t) => {
  const table = await api.makeTable()
  await api.commit(table, { actions: [add('a')], idempotency: { appId: 'app', version: 1 } })
  const run = crypto.randomUUID()
  await api.post('/runs', { runId: run })
  const { idempotency } = (await api.post(`/runs/${run}/next`)).body
  await caughtUp()
  await pause(t)
  await api.commit(table, { actions: [add('b')], idempotency: { appId: 'app', version: 2 } })
  await api.commit(table, { actions: [add('c')], idempotency })
  for (let count = 0; count < 2; count += 1) await api.post(`/runs/${run}/next`)
  await api.post('/runs', { runId: `${run}-2`, label: run })
  const after = await api.makeTable({ name: 'after.pause' })
  const lines = { accept: 'application/x-ndjson' }
  const version = (answer: TestAnswer) => answer.body.version
  const status = (answer: TestAnswer) => answer.status
  const files = (answer: TestAnswer) => answer.text.trim().split('\n').length
  const items = (answer: TestAnswer) => answer.body.items.length
  const reads: [
    path: string,
    of: (answer: TestAnswer) => number,
    old: number,
    present: number,
    headers?: object,
  ][] = [
    [`/tables/${table}`, version, 1, 3],
    [`/tables/${after}`, status, 404, 200],
    ['/tables?namePrefix=after', items, 0, 1],
    [`/tables/${table}/commits`, items, 2, 4],
    [`/tables/${table}/commits/2`, status, 404, 200],
    [`/tables/${table}/commits/2`, status, 404, 200, lines],
    [`/tables/${table}/snapshot`, version, 1, 3],
    [`/tables/${table}/files`, items, 1, 3],
    [`/tables/${table}/files`, files, 1, 3, lines],
    [`/tables/${table}/app-transactions/app`, version, 1, 2],
    [`/tables/${table}/changes?from=0`, items, 2, 5],
    [`/tables/${after}/mirror`, status, 404, 200],
    [
      '/mirror',
      (answer) =>
        answer.body.items.filter((one: { tableId: string }) => one.tableId === after).length,
      0,
      1,
    ],
    [`/runs/${run}`, ({ body }) => body.commitSequence, 1, 3],
    [`/runs/${run}/attempts`, items, 0, 1],
    [`/runs?label=${run}`, items, 0, 1],
    [`/runs/${run}/gaps`, items, 1, 2],
  ]
  for (const [path, of, old, present, headers = {}] of reads) {
    const [there, here] = await Promise.all([
      api.get(path, { ...headers, ...anyReplica }),
      api.get(path, { ...headers }),
    ])
    t.strictSame([servedBy(there), of(there)], ['replica', old], `${path} on the replica`)
    t.strictSame([servedBy(here), of(here)], ['primary', present], `${path} on the primary`)
  }
})

t.test('a namespace says where reads of it go that do not say it themselves', async (t) => {
  const put = (value: number) =>
    api.call('PUT', '/state/led/entries/key', { json: { value, metadata: { of: 'all' } } })
  await put(1)
  await api.call('PUT', '/state/led', { json: { readPreference: 'replica' } })
  await caughtUp()
  await pause(t)
  await put(2)
  const value = ({ body }: TestAnswer) => (body.items?.[0] ?? body).value
  const query = (headers = {}) => api.post('/state/led/query', { metadata: { of: 'all' } }, headers)
  const reads = [
    (headers = {}) => api.get('/state/led/entries/key', headers),
    (headers = {}) => api.get('/state/led/entries', headers),
    query,
  ]
  for (const read of reads) {
    await until(async () => servedBy(await read()) === 'replica')
    t.equal(value(await read()), 1)
    const here = await read({ 'read-preference': 'primary' })
    t.strictSame([servedBy(here), value(here)], ['primary', 2])
  }
  t.match(await query({ 'read-preference': 'anywhere' }), {
    status: 400,
    body: { errors: [{ pointer: '/headers/read-preference' }] },
  })
  await api.call('PUT', '/state/led', { json: {} })
  await until(async () => servedBy(await query()) === 'primary')
  t.strictSame(value(await query(anyReplica)), 1)
})

t.test('a lag limit leads to the primary while the replica is behind', async (t) => {
  const table = await api.makeTable()
  await caughtUp()
  await sleep(300)
  // An idle primary is not a lag, though it logs something now and then.
  await until(async () => (await seen()).lagMs === 0)
  t.match(await seen(), { name, healthy: true, replayPosition: /^0\// })
  await pause(t)
  const { body } = await api.commit(table, { actions: [add('a')] })
  t.equal(body.version, 1)
  await until(async () => (await seen()).lagMs > 200)
  const late = await api.get(`/tables/${table}`, anyReplica)
  t.match([servedBy(late), late.body.version], ['replica', 0], 'without a limit the past will do')
  const fresh = await api.get(`/tables/${table}`, within(150))
  t.match([servedBy(fresh), fresh.body.version], ['primary', 1])
  const metrics = await api.get('/metrics')
  t.match(metrics.text, `deltaworks_replica_healthy{replica="${name}"} 1`)
  const [, lag] = /deltaworks_replica_lag_seconds\{replica="[^"]*"\} (\S+)/.exec(metrics.text) ?? []
  t.ok(Number(lag) > 0.2)
})

t.test('a delay of replay shows as the lag that it is', async (t) => {
  const setDelay = async (delay: string) => {
    await replica.query(`alter system set recovery_min_apply_delay = '${delay}'`)
    await replica.query('select pg_reload_conf()')
  }
  await setDelay('400ms')
  t.teardown(() => setDelay('0'))
  const table = await api.makeTable()
  let most = 0
  for (let version = 1; most < 350; version += 1) {
    await api.commit(table, { actions: [add(String(version))] })
    most = Math.max(most, (await seen()).lagMs)
  }
  await until(async () => (await seen()).lagMs === 0)
  t.ok(most < 5000, `${most} ms`)
})

t.test('a token is never missed', async (t) => {
  const table = await api.makeTable()
  await t.test('as long as the replica is behind, the primary answers', async (t) => {
    await caughtUp()
    await pause(t)
    const write = await api.commit(table, { actions: [add('a')] })
    const token = { 'consistency-token': tokenOf(write) }
    const read = await api.get(`/tables/${table}`, { ...anyReplica, ...token })
    t.match([servedBy(read), read.body.version], ['primary', 1])
  })
  await t.test('a replica that comes that far in a moment is waited for', async (t) => {
    let replicas = 0
    for (let version = 2; replicas < 20 && version < 200; version += 1) {
      const write = await api.commit(table, { actions: [add(String(version))] })
      const token = { 'consistency-token': tokenOf(write) }
      const read = await api.get(`/tables/${table}`, { ...anyReplica, ...token })
      if (read.body.version !== version) t.equal(read.body.version, version)
      if (servedBy(read) === 'replica') replicas += 1
    }
    t.equal(replicas, 20)
  })
})

t.test('a read whose connection is cut is repeated on the primary', async (t) => {
  const table = await api.makeTable()
  await caughtUp()
  const counted = async () =>
    Number(/deltaworks_repeated_reads_total (\d+)/.exec((await api.get('/metrics')).text)?.[1])
  const before = await counted()
  let isOver = false
  const cutting = (async () => {
    while (!isOver) {
      await replica.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'deltaworks'",
      )
    }
  })()
  const answers: TestAnswer[] = []
  while ((await counted()) < before + 5) {
    const reads = Array.from({ length: 20 }, () => api.get(`/tables/${table}`, anyReplica))
    answers.push(...(await Promise.all(reads)))
  }
  isOver = true
  await cutting
  t.strictSame(new Set(answers.map(({ status }) => status)), new Set([200]))
  await until(isHealthy)
})

t.test('one that stands still is given up, and taken again', async (t) => {
  const table = await api.makeTable()
  await caughtUp()
  t.equal(servedBy(await api.get(`/tables/${table}`, anyReplica)), 'replica')
  replica.freeze()
  const read = await api.get(`/tables/${table}/commits`, anyReplica)
  t.match([read.status, servedBy(read)], [200, 'primary'], 'what was under way is repeated')
  t.match(await seen(), { healthy: false, lagMs: null, lastFault: String, lastFaultAt: String })
  const { status, body } = await api.get('/health/ready')
  t.match([status, body.notes], [200, [`nothing is read from the replica ${name}: `]])
  replica.thaw()
  await until(isHealthy)
  t.equal(servedBy(await api.get(`/tables/${table}`, anyReplica)), 'replica')
})

t.test('one that was promoted is not read from any more', async (t) => {
  const table = await api.makeTable()
  await caughtUp()
  await promote(replica)
  await until(async () => !(await isHealthy()))
  t.match(await seen(), { lastFault: 'it was promoted: it follows no primary any more' })
  t.equal(servedBy(await api.get(`/tables/${table}`, anyReplica)), 'primary')
})
