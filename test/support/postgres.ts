import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { type Connection, createDb, createPool } from '../../src/database/connect.ts'
import { type EmbeddedConnection, startEmbeddedPostgres } from '../../src/database/embedded.ts'
import { migrate } from '../../src/database/migrate.ts'

/** The PostgreSQL of one test run: its folder, and how to reach it. */
interface TestPostgres {
  folder: string
  connection: EmbeddedConnection
}

/** Where a test run notes its PostgreSQL; runs at the same time need records of their own. */
const record =
  process.env['DELTAWORKS_TEST_RECORD'] ??
  fileURLToPath(new URL('../../.tap/postgres.json', import.meta.url))
const template = 'deltaworks_template'
const silent = { info() {}, warn() {}, error() {} }

/** What the tests lose in a crash of the machine, nobody misses. */
const settings = { fsync: 'off', full_page_writes: 'off', max_connections: '300' }

/** Starts the PostgreSQL of a test run, with a migrated database to clone. */
export async function startTestPostgres(): Promise<void> {
  await stopTestPostgres()
  await mkdir(dirname(record), { recursive: true })
  const folder = await mkdtemp(join(tmpdir(), 'deltaworks-test-'))
  const postgres = await startEmbeddedPostgres({
    folder: join(folder, 'postgres'),
    settings,
    log: silent,
  })
  const { connection } = postgres
  await writeFile(record, JSON.stringify({ folder, connection } satisfies TestPostgres))
  await administer(connection, `create database ${template}`)
  const db = createDb(poolOf({ ...connection, database: template }))
  await migrate(db)
  await db.destroy()
  await postgres.leave()
}

/** Stops the PostgreSQL of the last test run and removes all that it left, if there is one. */
export async function stopTestPostgres(): Promise<void> {
  const run = await readRun()
  if (run === undefined) return
  const postgres = await startEmbeddedPostgres({
    folder: join(run.folder, 'postgres'),
    log: silent,
  })
  await postgres.stop()
  await rm(run.folder, { recursive: true, force: true })
  await rm(record)
}

async function readRun(): Promise<TestPostgres | undefined> {
  try {
    return JSON.parse(await readFile(record, 'utf8'))
  } catch {
    return undefined
  }
}

/** A database of a test's own. */
export interface TestDatabase {
  connection: Connection & { database: string }
  /** The same as a URL, for processes. */
  url: string
  drop: () => Promise<void>
}

/** Makes a database from the template, or an empty one. */
export async function createTestDatabase({ empty = false } = {}): Promise<TestDatabase> {
  const run = await readRun()
  if (run === undefined) throw new Error('No PostgreSQL for tests runs; start them with `npx tap`.')
  const name = `test_${process.pid}_${Math.random().toString(36).slice(2, 10)}`
  await administer(
    run.connection,
    `create database ${name} template ${empty ? 'template0' : template}`,
  )
  const { host, port, user } = run.connection
  return {
    connection: { ...run.connection, database: name },
    url: `postgres://${user}@${encodeURIComponent(host)}:${port}/${name}`,
    drop: () => administer(run.connection, `drop database if exists ${name} with (force)`),
  }
}

async function administer(connection: EmbeddedConnection, statement: string): Promise<void> {
  const client = new pg.Client(connection)
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** A small pool for COPY on a test's database. */
export function copyPoolOf(connection: Connection) {
  return poolOf(connection, { pipeline: false })
}

/** A small pool on a test's database. */
export function poolOf(connection: Connection, { max = 4, pipeline = true } = {}) {
  return createPool({
    connection,
    max,
    waitMsMax: 10_000,
    lockMsMax: 10_000,
    statementMsMax: 60_000,
    pipeline,
    onError: () => {},
  })
}
