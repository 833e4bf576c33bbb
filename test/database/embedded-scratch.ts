import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { chmod, mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { Test } from 'tap'
import {
  type EmbeddedConnection,
  type EmbeddedLog,
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/database/embedded.ts'
import { isAlive, isPostmaster } from '../../src/database/embedded-processes.ts'
import { layPreparedCluster } from '../support/postgres.ts'

/** A place for one embedded database. When its test ends, in whatever way, nothing of it is left. */
export interface Scratch {
  /** The parent of the data folder. Open to all users. */
  root: string
  /** The data folder. */
  folder: string
  log: EmbeddedLog
  /** Emits what is logged: the event is named for the message. */
  logged: EventEmitter
  start(settings?: Record<string, string>): Promise<EmbeddedPostgres>
  /** Another server process on the same folder, started through `wrapper` if given. */
  spawnServer(options?: { task?: 'claim'; wrapper?: string[] }): ServerProcess
  /** Has a process of the test killed at its end. */
  killAtEnd(child: ChildProcess): void
}

export interface ServerProcess {
  child: ChildProcess
  /** How it connects, once it does; rejects with its error output when it fails. */
  ready: Promise<EmbeddedConnection>
}

/** A scratch folder whose database a server has made before. */
export async function makeUsedScratch(t: Test): Promise<Scratch> {
  const scratch = await makeScratch(t)
  await layPreparedCluster(scratch.folder)
  return scratch
}

/** `name` is the path of the data folder within the scratch folder. */
export async function makeScratch(t: Test, name = 'postgres'): Promise<Scratch> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'deltaworks-test-')))
  await chmod(root, 0o755)
  const folder = join(root, name)
  const logged = new EventEmitter()
  const emit = (facts: object, message: string) => void logged.emit(message, facts)
  const log = { info: emit, warn: emit, error: emit }
  const started: EmbeddedPostgres[] = []
  const children: ChildProcess[] = []
  // Supervision does not keep a process alive, and a test waits for what supervision does.
  const awake = setInterval(() => undefined, 1_000)

  t.teardown(async () => {
    clearInterval(awake)
    await Promise.all(children.map(kill))
    await Promise.all(started.map((db) => db.leave()))
    await killPostmaster(folder)
    const sockets = started.map((db) => db.connection.host)
    await Promise.all([root, ...sockets].map((path) => rm(path, { recursive: true, force: true })))
  })

  return {
    root,
    folder,
    log,
    logged,
    async start(settings = {}) {
      const db = await startEmbeddedPostgres({
        folder,
        settings: { fsync: 'off', ...settings },
        log,
      })
      started.push(db)
      return db
    },
    spawnServer({ task, wrapper = [] } = {}) {
      const script = join(import.meta.dirname, 'embedded-process.ts')
      const server = spawnServer([...wrapper, process.execPath, script, folder, task ?? ''])
      children.push(server.child)
      return server
    },
    killAtEnd(child) {
      children.push(child)
    },
  }
}

function spawnServer([program = '', ...args]: string[]): ServerProcess {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const stderr = text(child.stderr)
  return { child, ready: readFirstLine(child, stderr) }
}

async function readFirstLine(
  { stdout }: ChildProcessWithoutNullStreams,
  stderr: Promise<string>,
): Promise<EmbeddedConnection> {
  for await (const line of createInterface(stdout)) return JSON.parse(line)
  throw new Error(await stderr)
}

/** `kill -9`, and waits until the process is gone. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

async function killPostmaster(folder: string): Promise<void> {
  const pid = await postmasterPid(folder).catch(() => undefined)
  if (!pid || !(await isPostmaster(pid, folder))) return
  process.kill(pid, 'SIGQUIT')
  await gone(pid)
}

/** Resolves when a process is no more. */
export async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await sleep(5)
}

/** The process id of the server that runs on a data folder. */
export async function postmasterPid(folder: string): Promise<number> {
  return Number.parseInt(await readFile(join(folder, 'postmaster.pid'), 'utf8'), 10)
}

/** Runs one statement in a session of its own. */
export async function query(connection: EmbeddedConnection, sql: string): Promise<unknown[]> {
  const client = new Client(connection)
  await client.connect()
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows.flat()
  } finally {
    await client.end()
  }
}
