import { type ChildProcess, type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import pg from 'pg'
import { findBinaries } from '../../src/database/embedded-binaries.ts'
import { createCluster, EMBEDDED_USER } from '../../src/database/embedded-cluster.ts'
import {
  EMBEDDED_DATABASE,
  type Endpoint,
  runPostmaster,
  stopPostmaster,
} from '../../src/database/embedded-postmaster.ts'
import { chooseRunAs, giveTo } from '../../src/database/embedded-user.ts'
import type { Nessie } from '../interop/tools.ts'
import { freePort } from '../support/free-port.ts'
import type { BareDatabase } from './bare-database.ts'

/** A Nessie server in a process of its own, on a PostgreSQL of its own. Both are gone when it is disposed of. */
export interface NessieServer extends AsyncDisposable {
  /** Such as `http://127.0.0.1:41235`. */
  address: string
  /** Resident memory of the Java process, in MB. */
  residentMb: () => Promise<number>
}

/** Starts Nessie on a PostgreSQL with the settings of another database. */
export async function startNessie(
  { java, jar }: Nessie,
  like: BareDatabase,
): Promise<NessieServer> {
  await using starting = new AsyncDisposableStack()
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'deltaworks-nessie-')))
  starting.defer(() => rm(folder, { recursive: true, force: true }))
  const postgres = await startPostgres(join(folder, 'postgres'), await settingsOf(like))
  starting.defer(postgres.stop)
  const password = randomBytes(16).toString('hex')
  await createDatabase(postgres, password)
  const child = spawn(java, [...options(folder, postgres.port), '-jar', jar], {
    cwd: folder,
    env: { ...process.env, QUARKUS_DATASOURCE_POSTGRESQL_PASSWORD: password },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  starting.defer(() => kill(child))
  const address = await listeningAddress(child)
  const started = starting.move()
  return {
    address,
    residentMb: () => residentMb(child),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  }
}

/** What this database was started with, but for where it listens. */
async function settingsOf(database: BareDatabase): Promise<Record<string, string>> {
  const { rows } = await database.run(`
    select name, current_setting(name) as value from pg_settings
    where source = 'command line'
      and name not in ('listen_addresses', 'port', 'unix_socket_directories')`)
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]))
}

interface Postgres extends Endpoint {
  stop: () => Promise<void>
}

/** The embedded PostgreSQL of a service has no port, and Java knows no other way to it. */
async function startPostgres(folder: string, settings: Record<string, string>): Promise<Postgres> {
  const { initdb, postgres } = await findBinaries()
  const runAs = await chooseRunAs(folder, postgres)
  await createCluster({ folder, initdb, runAs, sync: true })
  const host = join(folder, 'socket')
  await mkdir(host, { mode: 0o700 })
  await giveTo(runAs, host)
  const access = 'local all all trust\nhost nessie nessie 127.0.0.1/32 scram-sha-256\n'
  await writeFile(join(folder, 'pg_hba.conf'), access)
  const { pid, port } = await runPostmaster({
    folder,
    logPath: `${folder}.log`,
    postgres,
    runAs,
    endpoint: { host, port: await freePort() },
    settings: { ...settings, listen_addresses: '127.0.0.1' },
  })
  return { host, port, stop: () => stopPostmaster(folder, pid) }
}

async function createDatabase({ host, port }: Endpoint, password: string): Promise<void> {
  const client = new pg.Client({ host, port, user: EMBEDDED_USER, database: EMBEDDED_DATABASE })
  await client.connect()
  await client.query(`create role nessie login password '${password}'`)
  await client.query('create database nessie owner nessie')
  await client.end()
}

function options(folder: string, databasePort: number): string[] {
  const properties = {
    'java.io.tmpdir': folder,
    'nessie.version.store.type': 'JDBC2',
    'nessie.version.store.persist.jdbc.datasource': 'postgresql',
    'quarkus.datasource.postgresql.jdbc.url': `jdbc:postgresql://127.0.0.1:${databasePort}/nessie`,
    'quarkus.datasource.postgresql.username': 'nessie',
    'quarkus.http.host': '127.0.0.1',
    'quarkus.http.port': '0',
    'quarkus.http.access-log.enabled': 'false',
    'quarkus.management.host': '127.0.0.1',
    'quarkus.management.port': '0',
    'quarkus.otel.sdk.disabled': 'true',
  }
  return ['-Xmx2g', ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`)]
}

async function listeningAddress(child: ChildProcessByStdio<null, Readable, Readable>) {
  const said: string[] = []
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (line) => {
      const address = /Listening on: (http:\/\/[\d.]+:\d+)/.exec(line)?.[1]
      if (address !== undefined) resolve(address)
      if (said.length < 100) said.push(line)
    })
  }
  child.once('error', reject)
  child.once('exit', (code, signal) => {
    reject(new Error(`Nessie ended with ${code ?? signal}: ${said.join('\n')}`))
  })
  return promise
}

async function residentMb({ pid }: ChildProcess): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)])
  return (Number(stdout) * 1024) / 1e6
}

/** What it has stored is thrown away, so nothing is lost. */
async function kill(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
