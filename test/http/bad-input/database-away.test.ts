import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import pino from 'pino'
import t, { type Test } from 'tap'
import { buildApp } from '../../../src/app.ts'
import { loadConfig } from '../../../src/config.ts'
import { createDb } from '../../../src/database/connect.ts'
import { startEmbeddedPostgres } from '../../../src/database/embedded.ts'
import { migrate } from '../../../src/database/migrate.ts'
import { noReplicas } from '../../../src/database/replicas/replicas.ts'
import { noPublisher } from '../../../src/mirror/publisher.ts'
import { sessionOpener } from '../../../src/pools.ts'
import { createServices } from '../../../src/services.ts'
import { createStorage } from '../../../src/storage/create-storage.ts'
import { type Api, add, createApi, type TestAnswer } from '../../support/api.ts'
import { type ExampleParameter, exampleAddress } from '../../support/examples.ts'
import { copyPoolOf, poolOf } from '../../support/postgres.ts'
import { killPostmaster, makeUsedDataDir, startServerProcess } from '../../support/process.ts'
import { startTestServer } from '../../support/server.ts'
import { checkProblem } from './refusals.ts'

const silent = { info() {}, warn() {}, error() {} }

/** A server whose database is a socket that is not there. */
async function startWithoutDatabase(t: Test): Promise<Api> {
  const folder = await mkdtemp(join(tmpdir(), 'deltaworks-nowhere-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const connection = { host: folder, port: 5432, user: 'nobody', database: 'nothing' }
  const pool = poolOf(connection)
  const copyPool = copyPoolOf(connection)
  const db = createDb(pool)
  t.teardown(() => Promise.all([db.destroy(), copyPool.end()]))
  const config = loadConfig({ DATA_DIR: folder })
  const log = pino({ level: 'silent' })
  const services = createServices(config, {
    pool,
    copyPool,
    stagePool: copyPool,
    pinDb: db,
    db,
    openSession: sessionOpener(config, connection, log),
    replicas: noReplicas,
    storage: createStorage(config),
    publisher: noPublisher,
    log,
  })
  const app = await buildApp({ config, services, log })
  t.teardown(() => services.advisorySession.stop())
  t.teardown(() => app.close())
  return createApi(await app.listen({ host: '127.0.0.1', port: 0 }))
}

function checkAway(t: Test, answer: TestAnswer): void {
  checkProblem(t, answer, 'database-unavailable')
  t.match(answer.headers.get('retry-after'), /^[1-9]\d*$/)
}

t.test('without a database every operation that needs one says so', async (t) => {
  const server = await startWithoutDatabase(t)
  const { paths } = (await server.get('/openapi.json')).body
  let asked = 0
  for (const [path, methods] of Object.entries<Record<string, Operation>>(paths)) {
    for (const [method, { tags, parameters, requestBody }] of Object.entries(methods)) {
      if (tags.includes('service')) continue
      const address = exampleAddress(path, parameters)
      const [[type, { example }] = ['', {}]] = Object.entries(requestBody?.content ?? {})
      const raw = typeof example === 'string' ? example : JSON.stringify(example)
      const answer = await server.call(
        method.toUpperCase(),
        address,
        example === undefined ? {} : { raw, headers: { 'content-type': type } },
      )
      await t.test(`${method} ${path}`, async (t) => checkAway(t, answer))
      asked += 1
    }
  }
  t.ok(asked >= 10)
  t.equal((await server.get('/health/live')).status, 200)
  t.equal((await server.get('/metrics')).status, 200)
  const ready = await server.get('/health/ready')
  t.match(ready, { status: 503, body: { status: 'not-ready', checks: { database: 'failed' } } })
  t.match(ready.headers.get('retry-after'), /^[1-9]\d*$/)
  const wrong = await server.get('/tables?limit=0')
  checkProblem(t, wrong, 'invalid-request')
})

interface Operation {
  tags: string[]
  parameters?: ExampleParameter[]
  requestBody?: { content: Record<string, { example?: unknown }> }
}

/** Commits file after file, each until it is in, and keeps every answer that it did not want. */
async function commitFiles(
  api: Api,
  table: string,
  { writer, until }: { writer: number; until: () => boolean },
): Promise<{ files: number; refusals: TestAnswer[] }> {
  const refusals: TestAnswer[] = []
  let files = 0
  for (; !until(); files += 1) {
    const key = { 'idempotency-key': randomUUID() }
    const actions = [add(`w${writer}-${files}`)]
    for (;;) {
      const answer = await api.commit(table, { actions }, key)
      if (answer.status === 201) break
      refusals.push(answer)
    }
    const read = await api.get(`/tables/${table}/snapshot`)
    if (read.status !== 200) refusals.push(read)
  }
  return { files, refusals }
}

/** Runs writers while `disturb` is at work, and sees that each of their files is in the table once. */
async function checkWriters(
  t: Test,
  api: Api,
  disturb: (table: string) => Promise<void>,
): Promise<void> {
  const table = await api.makeTable()
  let over = false
  const writers = Array.from({ length: 8 }, (_, writer) =>
    commitFiles(api, table, { writer, until: () => over }),
  )
  await disturb(table)
  over = true
  const done = await Promise.all(writers)
  const refusals = done.flatMap((writer) => writer.refusals)
  t.ok(refusals.length > 0, 'the database was missed')
  await t.test('every refusal says that the database is away', async (t) => {
    for (const refusal of refusals.slice(0, 100)) checkAway(t, refusal)
    t.strictSame([...new Set(refusals.map(({ status }) => status))], [503])
  })
  const files = done.reduce((sum, writer) => sum + writer.files, 0)
  const { body } = await api.get(`/tables/${table}`)
  t.equal(body.version, files)
  t.equal(body.statistics.numFiles, files)
  const count = async (part: string) => {
    const { text } = await api.get(`/tables/${table}/${part}`, { accept: 'application/x-ndjson' })
    return text.split('\n').length - 1
  }
  t.equal(await count('commits'), files + 1)
  t.equal(await count('files'), files)
}

/** Waits until the table has this many more versions. */
async function progress(api: Api, table: string, versions: number): Promise<void> {
  let from: number | undefined
  for (;;) {
    const { status, body } = await api.get(`/tables/${table}`)
    if (status !== 200) continue
    from ??= body.version as number
    if (body.version >= from + versions) return
  }
}

t.test('sessions that end in the middle of requests cost a repetition each', async (t) => {
  const server = await startTestServer(t)
  const administrator = createDb(poolOf(server.database.connection, { max: 1 }))
  t.teardown(() => administrator.destroy())
  await checkWriters(t, server, async (table) => {
    for (let round = 0; round < 15; round += 1) {
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`.execute(administrator)
      await progress(server, table, 5)
    }
  })
  t.strictSame(
    server.logged.filter(({ level }) => Number(level) >= 50),
    [],
  )
})

t.test('a database that stops and starts again costs repetitions alone', async (t) => {
  const dataDir = await makeUsedDataDir(t)
  const options = {
    folder: join(dataDir, 'postgres'),
    settings: { fsync: 'off' },
    log: silent,
  }
  let postgres = await startEmbeddedPostgres(options)
  const { host, port, user, database } = postgres.connection
  const db = createDb(poolOf(postgres.connection))
  await migrate(db)
  await db.destroy()
  const server = await startServerProcess(t, {
    DATABASE_URL: `postgres://${user}@${encodeURIComponent(host)}:${port}/${database}`,
    DATA_DIR: dataDir,
  })
  await checkWriters(t, server, async (table) => {
    await progress(server, table, 20)
    await postgres.stop()
    while ((await server.get('/health/ready')).status !== 503);
    t.equal((await server.get('/health/live')).status, 200)
    postgres = await startEmbeddedPostgres(options)
    await progress(server, table, 20)
    // Whoever has started it starts it again.
    await killPostmaster(dataDir, 'SIGKILL')
    await progress(server, table, 20)
  })
  t.match(await server.get('/health/ready'), { status: 200 })
  await server.stop()
  await postgres.stop()
})
