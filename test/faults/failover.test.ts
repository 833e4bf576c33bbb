import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { add, type TestAnswer } from '../support/api.ts'
import type { Cluster } from '../support/cluster.ts'
import { makeDataDir, type ServerProcess, startServerProcess } from '../support/process.ts'
import { follow, promote, startPrimary, startReplica } from '../support/replica.ts'

const servedBy = ({ headers }: TestAnswer) => headers.get('served-by') ?? ''

/** What clients saw that none should: by text, so that each kind shows once. */
type Surprises = Set<string>

/** Whether an answer is one to come back after, said as such. */
function mayComeBack({ status, headers }: TestAnswer): boolean {
  return (status === 503 || status === 429) && headers.get('retry-after') !== null
}

/** A client that commits file after file to a table of its own, and reads each where it was told that it may. */
function startClient(server: ServerProcess, table: string, surprises: Surprises) {
  let isEnded = false
  const written: { path: string; version: number }[] = []
  const readBy: Record<string, number> = { primary: 0, replica: 0 }

  async function insist(call: () => Promise<TestAnswer>): Promise<TestAnswer> {
    for (;;) {
      const answer = await call()
      if (answer.status < 300) return answer
      if (!mayComeBack(answer)) surprises.add(answer.text.replace(/"instance":"[^"]*"/, ''))
      await sleep(20)
    }
  }

  const run = async () => {
    for (let count = 0; !isEnded; count += 1) {
      const path = `file-${count}`
      const key = { 'idempotency-key': `${table}-${count}` }
      const write = await insist(() => server.commit(table, { actions: [add(path)] }, key))
      const { version } = write.body
      written.push({ path, version })
      const token = write.headers.get('consistency-token')
      const headers = {
        'read-preference': 'replica',
        // PostgreSQL may go away between the commit and the token.
        ...(token !== null && { 'consistency-token': token }),
      }
      const read = await insist(() => server.get(`/tables/${table}`, headers))
      readBy[servedBy(read)] = (readBy[servedBy(read)] ?? 0) + 1
      if (token !== null && read.body.version < version) {
        surprises.add(`${read.body.version} was read by ${servedBy(read)} after ${version}`)
      }
    }
  }
  const running = run()
  return {
    written,
    readBy,
    end: () => {
      isEnded = true
      return running
    },
  }
}

/** The one that has got more of the log first: what the other lacks would be lost, and it could not follow. */
async function byProgress(one: Cluster, two: Cluster): Promise<[Cluster, Cluster]> {
  // What was on its way when the primary was killed still arrives.
  const receives = "select from pg_stat_wal_receiver where status = 'streaming'"
  for (const replica of [one, two]) {
    while ((await replica.query(receives)).length > 0) await sleep(10)
  }
  const text = 'select pg_wal_lsn_diff(pg_last_wal_receive_lsn(), $$0/0$$)::float8 as place'
  const [[first], [second]] = await Promise.all([one.query(text), two.query(text)])
  return first.place >= second.place ? [one, two] : [two, one]
}

t.test('the primary is killed and a replica promoted under load', async (t) => {
  const primary = await startPrimary(t)
  const one = await startReplica(t, primary, { cluster_name: 'one' })
  const two = await startReplica(t, primary, { cluster_name: 'two' })
  // Nothing that is answered may be lost with the primary.
  await primary.query("alter system set synchronous_standby_names = 'ANY 1 (one, two)'")
  await primary.query('select pg_reload_conf()')
  const hosts = [primary, one, two].map(({ port }) => `127.0.0.1:${port}`).join()
  const server = await startServerProcess(t, {
    DATABASE_URL: `postgres://deltaworks@${hosts}/postgres?target_session_attrs=read-write`,
    REPLICA_URLS: `${one.url},${two.url}`,
    REPLICA_CHECK_MS: '50',
    DATA_DIR: await makeDataDir(t),
  })
  const surprises: Surprises = new Set()
  const tables = await Promise.all(Array.from({ length: 4 }, () => server.makeTable()))
  const clients = tables.map((table) => startClient(server, table, surprises))
  const total = () => clients.reduce((sum, { written }) => sum + written.length, 0)
  const readOnReplicas = () =>
    clients.reduce((sum, { readBy }) => sum + (readBy['replica'] ?? 0), 0)
  const until = async (condition: () => boolean | Promise<boolean>) => {
    while (!(await condition())) await sleep(10)
  }
  const replicaNow = async (port: number) =>
    (await server.get('/replication')).body.readReplicas?.find(
      ({ name }: { name: string }) => name === `127.0.0.1:${port}`,
    )
  const goOn = async () => {
    const before = total()
    await until(() => total() > before + 40)
  }

  await until(() => readOnReplicas() > 40)
  await primary.kill()
  await until(async () => (await server.get('/health/ready')).status === 503)
  const ready = await server.get('/health/ready')
  t.match(ready.body.reasons, ['no primary can be reached'])
  const past = await server.get(`/tables/${tables[0]}`, { 'read-preference': 'replica' })
  t.match([past.status, servedBy(past)], [200, 'replica'], 'the past can be read meanwhile')
  const [heir, other] = await byProgress(one, two)
  await promote(heir)
  await goOn()
  t.equal((await server.get('/health/ready')).status, 200, 'without a restart')
  await until(async () => !(await replicaNow(heir.port)).healthy)
  t.match((await replicaNow(heir.port)).lastFault, /it was promoted/)
  await until(async () => !(await replicaNow(other.port)).healthy)
  t.match((await replicaNow(other.port)).lastFault, 'it is on timeline 1, and the primary on 2')

  await t.test('the old primary comes back, and nobody has fenced it off', async (t) => {
    await primary.start()
    const marks = 'select count(*)::int as count from commits'
    const [{ count }] = await primary.query(marks)
    const cut =
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'deltaworks'"
    for (let round = 0; round < 3; round += 1) {
      await heir.query(cut)
      await goOn()
    }
    t.strictSame(await primary.query(marks), [{ count }], 'nothing is written to it')
    await primary.kill()
  })

  await t.test('the other replica follows the new primary', async (t) => {
    await other.stop()
    await follow(other, heir)
    await other.start()
    await until(async () => (await replicaNow(other.port)).healthy)
    const before = readOnReplicas()
    await until(() => readOnReplicas() > before + 20)
    t.match(await replicaNow(other.port), { healthy: true })
  })

  for (const client of clients) await client.end()
  t.strictSame([...surprises], [])
  for (const [index, { written }] of clients.entries()) {
    const { text } = await server.get(`/tables/${tables[index]}/files`, {
      accept: 'application/x-ndjson',
    })
    const files = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).path ?? JSON.parse(line).add.path)
    t.strictSame(
      files,
      written.map(({ path }) => path),
      'each is there once, in its order',
    )
    t.strictSame(
      written.map(({ version }) => version),
      files.map((_, place) => place + 1),
    )
  }
  t.comment(`${total()} commits, ${readOnReplicas()} reads on replicas`)
  other.freeze()
  t.strictSame(await server.stop(), { code: 0, signal: null }, 'who hangs holds up no stop')
})
