import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, open, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Test } from 'tap'
import { freePort } from '../../scripts/support/free-port.ts'
import { findBinaries } from '../../src/database/embedded-binaries.ts'
import { EMBEDDED_USER } from '../../src/database/embedded-cluster.ts'
import { chooseRunAs, giveTo, type RunAs, spawnAs } from '../../src/database/embedded-user.ts'
import { layPreparedCluster } from './postgres.ts'

/** A PostgreSQL of a test's own, which listens on 127.0.0.1 and on a socket; nobody starts it again when it dies. */
export interface Cluster {
  /** The data folder. */
  folder: string
  port: number
  /** Of a migrated database, by TCP. */
  url: string
  runAs: RunAs | undefined
  /** Folder of the socket. */
  socket: string
  start: (settings?: Record<string, string>) => Promise<void>
  /** A fast shutdown. */
  stop: () => Promise<void>
  /** `kill -9` of the server and all that works for it, and waits until it is gone. */
  kill: () => Promise<void>
  /** Has all of it stand still, and go on. */
  freeze: () => void
  thaw: () => void
  /** Runs statements of the superuser in a session of their own, by the socket; answers the rows of the last. */
  // biome-ignore lint/suspicious/noExplicitAny: rows of every shape
  query: (text: string) => Promise<any[]>
}

/** What is special about a cluster. */
export interface ClusterOptions {
  settings?: Record<string, string>
  /** Lines of `pg_hba.conf` in front of those that trust everybody on the socket and on 127.0.0.1. */
  hba?: readonly string[]
  /** Fills the empty data folder; by default with a migrated database. */
  fill?: (folder: string) => Promise<void>
}

/** Those of PostgreSQL, each of which leads a group of its own. */
function childrenOf(parent: number): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).split('\n')
  const pairs = lines.map((line) => line.trim().split(/\s+/).map(Number))
  return pairs.flatMap(([pid = 0, of]) => (of === parent ? [pid] : []))
}

function signalIfAlive(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const atExit = new Set<() => void>()
process.once('exit', () => {
  for (const killNow of atExit) killNow()
})

/** What the tests lose in a crash of the machine, nobody misses. */
const always = {
  fsync: 'off',
  full_page_writes: 'off',
  listen_addresses: '127.0.0.1',
  shared_buffers: '32MB',
  log_min_error_statement: 'panic',
}

/** Prepares and starts a cluster for the life of a test; nothing of it is left afterwards. */
export async function startCluster(t: Test, options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await prepareCluster(t, options)
  await cluster.start()
  return cluster
}

/** The same without starting it. */
export async function prepareCluster(t: Test, options: ClusterOptions = {}): Promise<Cluster> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'dw-cluster-')))
  await chmod(root, 0o755)
  const folder = join(root, 'data')
  const socket = join(root, 'socket')
  const { postgres } = await findBinaries()
  await (options.fill ?? layPreparedCluster)(folder)
  const runAs = await chooseRunAs(folder, postgres)
  await mkdir(socket, { mode: 0o700 })
  await giveTo(runAs, socket)
  const hba = [...(options.hba ?? []), 'local all all trust', 'local replication all trust']
  hba.push('host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust')
  await writeFile(join(folder, 'pg_hba.conf'), `${hba.join('\n')}\n`)
  const port = await freePort()
  let child: ChildProcess | undefined
  const signal = (name: NodeJS.Signals) => {
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      for (const pid of [child.pid, ...childrenOf(child.pid)]) signalIfAlive(pid, name)
    }
  }
  const killNow = () => signal('SIGKILL')
  atExit.add(killNow)
  const query: Cluster['query'] = (text) => queryAt({ host: socket, port }, text)
  const end = async (name: NodeJS.Signals) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    if (name === 'SIGKILL') killNow()
    else child.kill(name)
    await ended
  }
  t.teardown(async () => {
    signal('SIGCONT')
    await end('SIGKILL')
    atExit.delete(killNow)
    await rm(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  })
  return {
    folder,
    port,
    socket,
    url: `postgres://${EMBEDDED_USER}@127.0.0.1:${port}/postgres`,
    runAs,
    async start(settings = {}) {
      const named = { ...always, ...options.settings, ...settings, port: String(port) }
      const flags = Object.entries({ ...named, unix_socket_directories: socket })
      const args = flags.flatMap(([name, value]) => ['-c', `${name}=${value}`])
      const log = await open(join(root, 'log'), 'a', 0o600)
      child = spawnAs(runAs, [postgres, '-D', folder, ...args], {
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
      })
      await log.close()
      await untilReady(child, { query, log: join(root, 'log') })
    },
    stop: () => end('SIGINT'),
    kill: () => end('SIGKILL'),
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    query,
  }
}

async function queryAt(at: { host: string; port: number }, text: string) {
  const user = EMBEDDED_USER
  const client = new pg.Client({ ...at, user, database: 'postgres', ssl: false })
  await client.connect()
  try {
    return [await client.query(text)].flat().at(-1)?.rows ?? []
  } finally {
    await client.end()
  }
}

async function untilReady(
  child: ChildProcess,
  { query, log }: Pick<Cluster, 'query'> & { log: string },
): Promise<void> {
  for (const began = Date.now(); ; await sleep(20)) {
    const error = await query('select').then(
      () => undefined,
      (error) => error,
    )
    if (error === undefined) return
    if (child.exitCode !== null || Date.now() - began > 60_000) {
      throw new Error(`no PostgreSQL:\n${await readFile(log, 'utf8')}`)
    }
  }
}
