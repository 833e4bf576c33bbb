import { createHash } from 'node:crypto'
import { lstat, mkdir, realpath } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findBinaries } from './embedded-binaries.ts'
import { createCluster, EMBEDDED_USER } from './embedded-cluster.ts'
import {
  type Cluster,
  EMBEDDED_DATABASE,
  runPostmaster,
  stopPostmaster,
} from './embedded-postmaster.ts'
import { hasCode, isAlive } from './embedded-processes.ts'
import { chooseRunAs, giveTo, type RunAs } from './embedded-user.ts'

/** Where the embedded database tells what happens to it: a pino logger, or the like. */
export interface EmbeddedLog {
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
}

/** How to connect. Stays the same for the life of the handle, also across restarts. */
export interface EmbeddedConnection {
  /** Folder of the Unix socket. */
  host: string
  port: number
  user: string
  database: string
  ssl: false
}

/** A running embedded PostgreSQL. It is started again whenever it dies, until `stop` or `leave`. */
export interface EmbeddedPostgres {
  connection: EmbeddedConnection
  /** Stops the database (fast shutdown) and waits until it is gone. Idempotent. */
  stop(): Promise<void>
  /** Lets the database run on and no longer looks after it. Idempotent. */
  leave(): Promise<void>
}

export interface EmbeddedOptions {
  /** The data folder of the PostgreSQL cluster. Its server logs to `<folder>.log` beside it. */
  folder: string
  /** PostgreSQL settings, over the defaults. An adopted database keeps those it was started with. */
  settings?: Record<string, string>
  log: EmbeddedLog
}

const PORT = 5432
/** The kernels take 108 (Linux) or 104 (macOS) bytes of path for a Unix socket. */
const SOCKET_PATH_BYTES_MAX = 100
const SUPERVISION_MS = 250
/** A server that lived this long is restarted at once, a shorter-lived one after a growing pause. */
const SETTLED_MS = 30_000
const PAUSE_MS_MIN = 100
const PAUSE_MS_MAX = 30_000

/** Sized for a machine of two processors. These stand above those in `postgresql.conf`. */
const DEFAULT_SETTINGS = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '200',
  shared_buffers: '256MB',
  work_mem: '16MB',
  maintenance_work_mem: '128MB',
  max_wal_size: '2GB',
  random_page_cost: '1.1',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  // Statements hold what users wrote: none of that in the log.
  log_min_error_statement: 'panic',
}

/**
 * Brings up the PostgreSQL of a data folder: creates its cluster when there is none, adopts the
 * server that runs on it (whoever started it), or starts one, which outlives this process.
 *
 * It listens on a Unix socket only, in a folder that no other user can enter, and trusts whoever
 * gets there. So the set-up has no password and no other secret: file permissions are the guard.
 *
 * Works on Linux and macOS. Throws with advice where it cannot.
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const cluster = await prepareCluster(options)
  const { pid, host, port } = await runPostmaster(cluster)
  options.log.info({ pid, folder: cluster.folder }, 'embedded PostgreSQL is ready')
  const supervision = supervise({ ...cluster, endpoint: { host, port } }, pid, options.log)
  let stopping: Promise<void> | undefined
  return {
    connection: { host, port, user: EMBEDDED_USER, database: EMBEDDED_DATABASE, ssl: false },
    leave: supervision.end,
    stop() {
      stopping ??= supervision.end().then(() => stopPostmaster(cluster.folder, supervision.pid()))
      return stopping
    },
  }
}

async function prepareCluster({ folder: given, settings }: EmbeddedOptions): Promise<Cluster> {
  const { initdb, postgres } = await findBinaries()
  await mkdir(dirname(given), { recursive: true })
  const folder = await realpath(given).catch(() => resolveNew(given))
  const runAs = await chooseRunAs(folder, postgres)
  await createCluster({ folder, initdb, runAs, sync: settings?.['fsync'] !== 'off' })
  return {
    folder,
    logPath: `${folder}.log`,
    postgres,
    runAs,
    endpoint: { host: await makeSocketFolder(folder, runAs), port: PORT },
    settings: { ...DEFAULT_SETTINGS, ...settings },
  }
}

async function resolveNew(folder: string): Promise<string> {
  return join(await realpath(dirname(folder)), basename(folder))
}

async function makeSocketFolder(folder: string, runAs: RunAs | undefined): Promise<string> {
  const name = `deltaworks-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`
  const path =
    [join(folder, 'socket'), join(tmpdir(), name)].find(isShortEnough) ?? join('/tmp', name)
  await mkdir(path, { mode: 0o700 }).catch((error) => {
    if (!hasCode(error, 'EEXIST')) throw error
  })
  const { uid, mode } = await lstat(path)
  const isOurs = uid === process.getuid?.() || uid === runAs?.uid
  // Also refuses a symbolic link: its mode is open.
  if (!isOurs || (mode & 0o077) !== 0) {
    throw new Error(`${path}, for the socket of the database, is not private to us. Remove it.`)
  }
  await giveTo(runAs, path)
  return path
}

function isShortEnough(folder: string): boolean {
  return Buffer.byteLength(join(folder, `.s.PGSQL.${PORT}`)) <= SOCKET_PATH_BYTES_MAX
}

interface Supervision {
  /** The last known process id of the server. */
  pid(): number
  end(): Promise<void>
}

function supervise(cluster: Cluster, firstPid: number, log: EmbeddedLog): Supervision {
  const ending = new AbortController()
  const timer = { signal: ending.signal, ref: false }
  let pid = firstPid
  let pauseMs = PAUSE_MS_MIN

  async function pause(): Promise<void> {
    await sleep(pauseMs, undefined, timer)
    pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)
  }

  async function restart(): Promise<number> {
    for (;;) {
      await pause()
      try {
        return (await runPostmaster(cluster, timer)).pid
      } catch (error) {
        ending.signal.throwIfAborted()
        log.error({ err: error, folder: cluster.folder }, 'embedded PostgreSQL does not start')
      }
    }
  }

  async function keepAlive(): Promise<void> {
    for (;;) {
      const since = Date.now()
      while (isAlive(pid)) await sleep(SUPERVISION_MS, undefined, timer)
      log.error({ pid, folder: cluster.folder }, 'embedded PostgreSQL died and is started again')
      if (Date.now() - since > SETTLED_MS) pauseMs = PAUSE_MS_MIN
      pid = await restart()
      log.warn({ pid, folder: cluster.folder }, 'embedded PostgreSQL is back')
    }
  }

  const kept = keepAlive().catch((error) => {
    if (!ending.signal.aborted) throw error
  })
  return {
    pid: () => pid,
    end() {
      ending.abort()
      return kept
    },
  }
}
