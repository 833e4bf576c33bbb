import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { type Connection, createDb, createPool } from '../../src/database/connect.ts'
import {
  type EmbeddedConnection,
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/database/embedded.ts'
import { migrate } from '../../src/database/migrate.ts'

/** The PostgreSQL of one test run: its folder, and how to reach it. */
interface TestPostgres {
  folder: string
  /** The data folder of a cluster with a migrated database, of which each server that asks for one gets a copy. */
  prepared: string
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
  const prepared = join(folder, 'prepared')
  await prepareCluster(prepared)
  await copyCluster(prepared, join(folder, 'postgres'))
  const { connection, leave } = await startCluster(join(folder, 'postgres'))
  await writeFile(record, JSON.stringify({ folder, prepared, connection } satisfies TestPostgres))
  await administer(connection, `create database ${template} template ${connection.database}`)
  await leave()
}

async function prepareCluster(folder: string): Promise<void> {
  const { connection, stop } = await startCluster(folder)
  const db = createDb(poolOf(connection))
  await migrate(db)
  await db.destroy()
  await stop()
}

function startCluster(folder: string): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ folder, settings, log: silent })
}

/** With owners and permissions, which PostgreSQL insists on. */
async function copyCluster(from: string, to: string): Promise<void> {
  await promisify(execFile)('cp', ['-Rp', from, to])
}

/** Makes `folder` a cluster whose database is migrated, as if a server had run there before. */
export async function layPreparedCluster(folder: string): Promise<void> {
  const { prepared } = await expectRun()
  await copyCluster(prepared, folder)
}

/** Stops the PostgreSQL of the last test run and removes all that it left, if there is one. */
export async function stopTestPostgres(): Promise<void> {
  const run = await readRun()
  if (run === undefined) return
  const { stop } = await startCluster(join(run.folder, 'postgres'))
  await stop()
  await rm(run.folder, { recursive: true, force: true })
  await rm(record)
}

async function expectRun(): Promise<TestPostgres> {
  const run = await readRun()
  if (run === undefined) throw new Error('No PostgreSQL for tests runs; start them with `npx tap`.')
  return run
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
  connection: EmbeddedConnection
  /** The same as a URL, for processes. */
  url: string
  drop: () => Promise<void>
}

/** Makes a database from the template, or an empty one. */
export async function createTestDatabase({ empty = false } = {}): Promise<TestDatabase> {
  const run = await expectRun()
  const name = `test_${process.pid}_${Math.random().toString(36).slice(2, 10)}`
  await administer(
    run.connection,
    // Through the log it takes twice as long.
    `create database ${name} template ${empty ? 'template0' : template} strategy file_copy`,
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
