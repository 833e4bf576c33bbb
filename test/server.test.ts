import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { add } from './support/api.ts'
import { lockTables, untilBlocked, untilUnderWay } from './support/congestion.ts'
import { createTestDatabase } from './support/postgres.ts'
import {
  hasPostmaster,
  killPostmaster,
  makeDataDir,
  makeUsedDataDir,
  postmasterPid,
  runCommand,
  spawnCommand,
  startServerProcess,
} from './support/process.ts'

const stopped = { code: 0, signal: null }

t.test('a server says where it listens and where Swagger UI is, in one line', async (t) => {
  const dataDir = await makeDataDir(t)
  const server = await startServerProcess(t, { DATA_DIR: dataDir })
  const { address } = server
  t.match(
    server.stdout(),
    new RegExp(`^Deltaworks \\S+ listens on ${address}, Swagger UI on ${address}/docs$`, 'm'),
  )
  t.match(await server.get('/health/ready'), { status: 200, body: { status: 'ready' } })
  t.equal((await server.get('/docs')).status, 200)
  t.strictSame(await server.stop(), stopped)
  t.equal(await hasPostmaster(dataDir), false, 'the embedded database is stopped too')
})

t.test('a second server on a DATA_DIR is refused and the first lives on', async (t) => {
  const dataDir = await makeUsedDataDir(t)
  const first = await startServerProcess(t, { DATA_DIR: dataDir })
  const table = await first.makeTable()
  const others = await Promise.all(
    ['serve', 'migrate'].map((command) =>
      runCommand(t, [command], { DATA_DIR: dataDir, PORT: '0' }),
    ),
  )
  for (const { code, stderr } of others) {
    t.equal(code, 1)
    t.match(stderr, `DATA_DIR ${dataDir} is in use by the server with process id ${first.pid}.`)
    t.equal(stderr.trim().split('\n').length, 1, 'one line')
  }
  t.match(await first.commit(table, { actions: [add('a')] }), { status: 201, body: { version: 1 } })
})

t.test('a server whose DATA_DIR was taken over leaves it to the other', async (t) => {
  const dataDir = await makeUsedDataDir(t)
  const first = await startServerProcess(t, { DATA_DIR: dataDir })
  const table = await first.makeTable()
  first.signal('SIGSTOP')
  await killPostmaster(dataDir, 'SIGKILL')
  const second = await startServerProcess(t, { DATA_DIR: dataDir })
  const postmaster = postmasterPid(dataDir)
  first.signal('SIGCONT')
  t.strictSame(await first.ended, { code: 1, signal: null })
  t.match(first.stdout(), `is in use by the server with process id ${second.pid}`)
  t.match(await second.commit(table, { actions: [add('a')] }), { status: 201 })
  t.equal(postmasterPid(dataDir), postmaster, 'the database was not stopped')
})

t.test('a port in use is told in a line and nothing is left running', async (t) => {
  const dataDir = await makeUsedDataDir(t)
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  const { code, stderr } = await runCommand(t, ['serve'], { DATA_DIR: dataDir, PORT: `${port}` })
  t.equal(code, 1)
  t.match(stderr, new RegExp(`^The server cannot listen on 127.0.0.1, port ${port}: .*in use`))
  t.equal(stderr.trim().split('\n').length, 1, 'one line')
  t.equal(await hasPostmaster(dataDir), false)
})

t.test('a stop while initdb runs ends in order, with nothing half made', async (t) => {
  // Ctrl-C reaches not the server alone, but initdb too.
  const stops = [
    (pid: number) => process.kill(pid, 'SIGTERM'),
    (pid: number) => process.kill(-pid, 'SIGINT'),
  ]
  for (const stop of stops) {
    const dataDir = await makeDataDir(t)
    const server = spawnCommand(t, ['serve'], { DATA_DIR: dataDir, PORT: '0' })
    const hasBegun = (paths: string[]) => paths.some((path) => /init-.*\/base\/1\//.test(path))
    while (!hasBegun(await readdir(dataDir, { recursive: true }))) await sleep(5)
    stop(server.pid)
    t.strictSame(await server.ended, stopped)
    t.equal(server.stderr(), '')
    t.equal(await hasPostmaster(dataDir), false)
    const allowed = ['postgres', 'postgres.log']
    t.strictSame(
      (await readdir(dataDir)).filter((name) => !allowed.includes(name)),
      [],
    )
  }
})

t.test('a stop while the schema is made ends in order', async (t) => {
  const dataDir = await makeDataDir(t)
  const server = spawnCommand(t, ['serve'], { DATA_DIR: dataDir, PORT: '0' })
  await server.says(/embedded PostgreSQL is ready/)
  server.signal('SIGINT')
  t.strictSame(await server.ended, stopped)
  t.equal(await hasPostmaster(dataDir), false)
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`no request under way is lost at ${signal}`, async (t) => {
    const { server, database } = await startOnTestDatabase(t)
    const tables = await Promise.all([1, 2, 3].map(() => server.makeTable()))
    const locker = await lockTables(t, database)
    const answers = []
    for (const table of tables) {
      for (let index = 0; index < 20; index += 1) {
        answers.push(server.commit(table, { actions: [add(`file-${index}`)] }))
        // The first is the batch that waits in the database, behind which all others wait in the queue.
        if (answers.length === 1) await untilBlocked(locker)
      }
    }
    await untilUnderWay(server, answers.length)
    server.signal(signal)
    await server.says(/"stopping"/)
    await locker.query('rollback')
    for (const { status } of await Promise.all(answers)) t.equal(status, 201)
    t.strictSame(await server.ended, stopped)
    const { rows } = await locker.query('select version from tables')
    t.strictSame(
      rows.map(({ version }) => Number(version)),
      [20, 20, 20],
    )
  })
}

t.test(
  'what is answered 201 up to the stop is there, and what is not answered is not',
  async (t) => {
    const dataDir = await makeUsedDataDir(t)
    const server = await startServerProcess(t, { DATA_DIR: dataDir })
    const table = await server.makeTable()
    const committed: string[] = []
    const unanswered: string[] = []
    const clients = Array.from({ length: 8 }, async (_, client) => {
      for (let index = 0; ; index += 1) {
        const path = `client-${client}-file-${index}`
        const answer = await server.commit(table, { actions: [add(path)] }).catch(() => undefined)
        if (answer === undefined) return unanswered.push(path)
        t.equal(answer.status, 201)
        committed.push(path)
      }
    })
    while (committed.length < 200) await sleep(5)
    t.strictSame(await server.stop(), stopped)
    await Promise.all(clients)
    t.equal(unanswered.length, clients.length)
    const again = await startServerProcess(t, { DATA_DIR: dataDir })
    const files = await again.get(`/tables/${table}/files`, { accept: 'application/x-ndjson' })
    const lines = files.text.trim().split('\n')
    t.strictSame(lines.map((line) => JSON.parse(line).add.path).sort(), committed.sort())
  },
)

t.test('a connection without a request does not hold up the stop', async (t) => {
  const { server } = await startOnTestDatabase(t, { HOST: 'localhost' })
  const { port, hostname } = new URL(server.address)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  t.equal((await server.get('/health/live')).status, 200, 'the server has seen the connection')
  t.strictSame(await server.stop(), stopped)
})

t.test('a request that does not end is cut off when its time is up', async (t) => {
  const { server, database } = await startOnTestDatabase(t, {
    SHUTDOWN_MS_MAX: '200',
    DATABASE_WAIT_MS_MAX: '1000',
  })
  const table = await server.makeTable()
  const locker = await lockTables(t, database)
  const answer = server.commit(table, { actions: [add('a')] })
  await untilBlocked(locker)
  const stop = server.stop()
  await t.rejects(answer)
  t.strictSame(await stop, stopped)
})

async function startOnTestDatabase(t: Test, settings = {}) {
  const database = await createTestDatabase()
  t.teardown(() => database.drop())
  const dataDir = await makeDataDir(t)
  const server = await startServerProcess(t, {
    DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    // So that a stop which waits for this shows.
    SHUTDOWN_MS_MAX: '600000',
    // So that what a test holds up on purpose is not given up on a slow machine.
    DATABASE_WAIT_MS_MAX: '60000',
    ...settings,
  })
  return { server, database }
}
