import type { ChildProcess } from 'node:child_process'
import { open, readFile, rename, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { EMBEDDED_USER } from './embedded-cluster.ts'
import { hasCode, isAlive, isPostmaster } from './embedded-processes.ts'
import { cannotRun, giveTo, type RunAs, spawnAs } from './embedded-user.ts'

/** Where a PostgreSQL server listens: the folder of its Unix socket, and the port in its name. */
export interface Endpoint {
  host: string
  port: number
}

/** A running PostgreSQL server. */
export interface Postmaster extends Endpoint {
  pid: number
}

/** What it takes to start the server of a cluster. */
export interface Cluster {
  folder: string
  logPath: string
  postgres: string
  runAs: RunAs | undefined
  endpoint: Endpoint
  settings: Record<string, string>
}

const READY_MS_MAX = 60_000
const CONNECT_MS_MAX = 2_000
const FAST_SHUTDOWN_MS_MAX = 30_000
const POLL_MS = 20
const RETRY_MS_MIN = 50
const RETRY_MS_MAX = 2_000
const LOG_BYTES_MAX = 16 * 1024 * 1024
const LOG_LINES_SHOWN = 20

/** Refusals that pass: another starter is at work, or a killed server's processes still leave. */
const PASSING_REFUSAL =
  /lock file ".*" (already exists|is empty)|pre-existing shared memory block .* is still in use/

/** The database to connect to when nothing but the server is of interest. */
export const EMBEDDED_DATABASE = 'postgres'

/** What a server tells in the file `postmaster.pid` of its data folder (PostgreSQL, pidfile.h). */
interface PidFile {
  pid: number
  /** Process id, data folder and start time: no two servers share all three. */
  identity: string
  /** `ready` when it takes connections. */
  status: string
  endpoint: Endpoint
}

type Sighting =
  | { state: 'absent'; stalePid?: number }
  | { state: 'unready'; pid: number; reason: string }
  | { state: 'running'; postmaster: Postmaster }

/**
 * Returns the server of a cluster, ready for connections: the one that runs, whoever started it,
 * or else a new one, which outlives this process.
 *
 * Throws when it refuses to start, with the last lines of its log, or is not ready after 60 s; then
 * a server that is still recovering goes on with that. An aborted signal ends a half-done start.
 */
export async function runPostmaster(cluster: Cluster, timer: Timer = {}): Promise<Postmaster> {
  const attempt: Attempt = {}
  try {
    return await bringUp(cluster, attempt, timer)
  } catch (error) {
    if (timer.signal?.aborted && attempt.launch?.child.pid) {
      await endProcess(attempt.launch.child.pid)
    }
    throw error
  }
}

interface Timer {
  signal?: AbortSignal
  ref?: boolean
}

interface Attempt {
  launch?: Launch | undefined
  refusal?: string
}

async function bringUp(cluster: Cluster, attempt: Attempt, timer: Timer): Promise<Postmaster> {
  const deadline = Date.now() + READY_MS_MAX
  for (let retryMs = RETRY_MS_MIN; ; ) {
    const sighting = await look(cluster.folder)
    if (sighting.state === 'running') return sighting.postmaster
    if (Date.now() > deadline) throw notReady(cluster, sighting, attempt.refusal)
    if (!attempt.launch && sighting.state === 'absent') {
      attempt.launch = await start(cluster, sighting.stalePid)
    }
    const refusal = attempt.launch && (await findRefusal(cluster, attempt.launch))
    if (refusal === undefined) {
      await sleep(POLL_MS, undefined, timer)
      continue
    }
    if (!PASSING_REFUSAL.test(refusal)) throw startFailed(cluster, refusal)
    Object.assign(attempt, { launch: undefined, refusal })
    await sleep(retryMs, undefined, timer)
    retryMs = Math.min(2 * retryMs, RETRY_MS_MAX)
  }
}

function startFailed({ folder }: Cluster, output: string): Error {
  return new Error(`The embedded PostgreSQL of ${folder} did not start:\n${output}`)
}

function notReady({ folder }: Cluster, sighting: Sighting, refusal: string | undefined): Error {
  const reason = sighting.state === 'unready' ? sighting.reason : refusal
  const holder = sighting.state === 'unready' ? ` (process id ${sighting.pid})` : ''
  return new Error(
    `The embedded PostgreSQL of ${folder}${holder} is not ready after ${READY_MS_MAX / 1000} s: ` +
      `${reason ?? 'it does not answer'}`,
  )
}

async function look(folder: string): Promise<Sighting> {
  const file = await readPidFile(folder)
  if (!file) return { state: 'absent' }
  const { pid, status, endpoint } = file
  const isHere = await isPostmaster(pid, folder)
  if (isHere && status !== 'ready') return { state: 'unready', pid, reason: `it is ${status}` }
  const problem = await probe(file)
  if (isHere && !problem) return { state: 'running', postmaster: { pid, ...endpoint } }
  if (isHere && problem) return { state: 'unready', pid, reason: problem }
  if (!problem) return { state: 'unready', pid, reason: 'it runs in another container' }
  return { state: 'absent', stalePid: pid }
}

async function readPidFile(folder: string): Promise<PidFile | undefined> {
  const content = await readFile(join(folder, 'postmaster.pid'), 'utf8').catch((error) => {
    if (hasCode(error, 'ENOENT')) return ''
    throw error
  })
  const [line = '', , , port, host = '', , , status = 'starting'] = content.split('\n')
  const pid = Math.abs(Number.parseInt(line, 10))
  if (!pid) return undefined
  return {
    pid,
    identity: identityIn(content),
    status: status.trim(),
    endpoint: { host: resolve(folder, host), port: Number(port) },
  }
}

function identityIn(content: string): string {
  return content.split('\n').slice(0, 3).join('\n')
}

/** Why no session can be had with the server that wrote this file; undefined when one can. */
async function probe({ endpoint, identity }: PidFile): Promise<string | undefined> {
  const client = new Client({
    ...endpoint,
    user: EMBEDDED_USER,
    database: EMBEDDED_DATABASE,
    ssl: false,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    query_timeout: CONNECT_MS_MAX,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query("select pg_read_file('postmaster.pid') as content")
    return identityIn(rows[0].content) === identity ? undefined : 'another server answers'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    await client.end()
  }
}

interface Launch {
  child: ChildProcess
  /** Where its lines begin in the log file, in bytes. */
  logStart: number
  error?: Error
}

async function start(cluster: Cluster, stalePid: number | undefined): Promise<Launch> {
  const { endpoint, settings, folder, postgres, logPath, runAs } = cluster
  await rotateLog(logPath)
  const log = await open(logPath, 'a', 0o600)
  try {
    await giveTo(runAs, logPath)
    const { size: logStart } = await log.stat()
    const options = Object.entries({
      ...settings,
      unix_socket_directories: endpoint.host,
      port: String(endpoint.port),
    }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawnAs(runAs, [postgres, '-D', folder, ...options], {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      // Makes PostgreSQL ignore this process id in lock files a killed server left, even when
      // another process of the same user, or a zombie, has it now.
      env: stalePid ? { PG_GRANDPARENT_PID: String(stalePid) } : {},
    })
    const launch: Launch = { child, logStart }
    child.once('error', (error) => Object.assign(launch, { error: cannotRun(postgres, error) }))
    child.unref()
    return launch
  } finally {
    await log.close()
  }
}

async function rotateLog(path: string): Promise<void> {
  const size = await stat(path).then(
    (stats) => stats.size,
    () => 0,
  )
  if (size > LOG_BYTES_MAX) await rename(path, `${path}.1`)
}

/** What a server that ended instead of starting said last; undefined while it has not ended. */
async function findRefusal({ logPath }: Cluster, launch: Launch): Promise<string | undefined> {
  const { child, error, logStart } = launch
  if (error) throw error
  if (child.exitCode === null && child.signalCode === null) return undefined
  const said = (await readFile(logPath)).subarray(logStart).toString('utf8')
  const lines = said.trim().split('\n').slice(-LOG_LINES_SHOWN)
  return [...lines, `(exit code ${child.exitCode ?? child.signalCode})`].join('\n')
}

/** Stops the server that runs on a data folder, if any, and waits until it is gone. */
export async function stopPostmaster(folder: string, lastPid: number): Promise<void> {
  const file = await readPidFile(folder)
  // The file may be gone while the server is not: with the whole folder, by somebody's hand.
  for (const pid of new Set([file?.pid ?? lastPid, lastPid])) {
    if (await isPostmaster(pid, folder)) await endProcess(pid)
  }
}

async function endProcess(pid: number): Promise<void> {
  signalTo(pid, 'SIGINT')
  const deadline = Date.now() + FAST_SHUTDOWN_MS_MAX
  while (isAlive(pid)) {
    if (Date.now() > deadline) signalTo(pid, 'SIGQUIT')
    await sleep(POLL_MS)
  }
}

function signalTo(pid: number, signal: 'SIGINT' | 'SIGQUIT'): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error
  }
}
