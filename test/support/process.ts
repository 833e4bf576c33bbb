import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { isAlive, isPostmaster } from '../../src/database/embedded-processes.ts'
import { SettingsSchema } from '../../src/settings.ts'
import { gone } from '../database/embedded-scratch.ts'
import { type Api, createApi } from './api.ts'
import { layPreparedCluster } from './postgres.ts'

/** What is to be killed if the tests themselves end before they have cleaned up. */
const atExit = new Set<() => void>()
process.once('exit', () => {
  for (const killNow of atExit) killNow()
})

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** How a process ended: with a code of its own, or by a signal. */
export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A `deltaworks` command that runs as a process of its own. */
export interface CommandProcess {
  pid: number
  /** Settles when it has ended and all its output is here. */
  ended: Promise<Exit>
  /** What it has written so far, both streams. */
  output: () => string
  stdout: () => string
  stderr: () => string
  /** Resolves to the first match in its output; rejects when it ends without. */
  says: (pattern: RegExp) => Promise<RegExpExecArray>
  signal: (signal: NodeJS.Signals) => void
  /** `kill -9`, and waits until it is gone. */
  kill: () => Promise<void>
}

/** A `deltaworks serve` that takes requests. */
export interface ServerProcess extends CommandProcess, Api {
  /** SIGTERM, or another signal, and waits for the end. */
  stop: (signal?: NodeJS.Signals) => Promise<Exit>
}

export type Settings = Readonly<Record<string, string>>

/**
 * A folder for a server of a test, with a path that PostgreSQL can reach. When the test ends, nothing of it is
 * left: no database server runs there, and the folder is gone.
 */
export async function makeDataDir(t: Test): Promise<string> {
  const dataDir = await realpath(await mkdtemp(join(tmpdir(), 'deltaworks-process-')))
  await chmod(dataDir, 0o755)
  const killNow = () => signalPostmaster(dataDir, 'SIGKILL')
  atExit.add(killNow)
  t.teardown(async () => {
    atExit.delete(killNow)
    await killPostmaster(dataDir, 'SIGQUIT')
    await rm(dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  })
  return dataDir
}

/** The same for a server that has run there before: its database is made and migrated. */
export async function makeUsedDataDir(t: Test): Promise<string> {
  const dataDir = await makeDataDir(t)
  await layPreparedCluster(join(dataDir, 'postgres'))
  return dataDir
}

/** Signals the embedded PostgreSQL of a DATA_DIR, if one runs there, and waits until it is gone. */
export async function killPostmaster(dataDir: string, signal: NodeJS.Signals): Promise<void> {
  const pid = signalPostmaster(dataDir, signal)
  if (pid !== undefined) await gone(pid)
}

/** Synchronous, so that it works in the last moments of a process too. */
function signalPostmaster(dataDir: string, signal: NodeJS.Signals): number | undefined {
  const pid = postmasterPid(dataDir)
  if (pid === undefined) return undefined
  signalIfAlive(pid, signal)
  return pid
}

/** The process id of the embedded PostgreSQL of a DATA_DIR, if one runs there. */
export function postmasterPid(dataDir: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8'), 10)
    return isAlive(pid) ? pid : undefined
  } catch {
    return undefined
  }
}

/** Whether an embedded PostgreSQL runs on a DATA_DIR. */
export async function hasPostmaster(dataDir: string): Promise<boolean> {
  const pid = postmasterPid(dataDir)
  return pid !== undefined && (await isPostmaster(pid, join(dataDir, 'postgres')))
}

/** How a command ended, and what it wrote. */
export interface CommandResult extends Exit {
  stdout: string
  stderr: string
}

/** Runs a command of the program until it ends. */
export async function runCommand(
  t: Test,
  args: readonly string[],
  settings: Settings = {},
): Promise<CommandResult> {
  const { ended, stdout, stderr } = spawnCommand(t, args, settings)
  return { ...(await ended), stdout: stdout(), stderr: stderr() }
}

/** Starts a server process on a free port and waits until it takes requests. */
export async function startServerProcess(t: Test, settings: Settings): Promise<ServerProcess> {
  const command = spawnCommand(t, ['serve'], { PORT: '0', ...settings })
  const [, address = ''] = await command.says(/listens on (http:\S+),/)
  return {
    ...command,
    ...createApi(address),
    stop(signal = 'SIGTERM') {
      command.signal(signal)
      return command.ended
    },
  }
}

/** Starts a command of the program, with these settings and none from outside; it is gone after the test. */
export function spawnCommand(
  t: Test,
  args: readonly string[],
  settings: Settings = {},
): CommandProcess {
  return spawnProgram(t, [main, ...args], settings)
}

/** Starts any program of ours with its arguments in the same way. */
export function spawnProgram(
  t: Test,
  args: readonly string[],
  settings: Settings = {},
): CommandProcess {
  const child = spawn(process.execPath, args, {
    // A group of its own, so that no signal of a terminal reaches it and all of it can be killed.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...environment(), ...settings },
  })
  const { pid } = child
  if (pid === undefined) throw new Error('no process was started')
  const killNow = () => signalIfAlive(-pid, 'SIGKILL')
  atExit.add(killNow)
  const command = watch(child, pid)
  void command.ended.then(() => atExit.delete(killNow))
  t.teardown(() => command.kill())
  return command
}

/** The environment of the tests, without what would be a setting. */
function environment(): NodeJS.ProcessEnv {
  const isSetting = (name: string) => name in SettingsSchema.properties
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isSetting(name)))
}

function watch(child: ChildProcess, pid: number): CommandProcess {
  const written = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      written[name] += text
      child.emit('said')
    })
  }
  const output = () => written.stdout + written.stderr
  const ended = once(child, 'close').then(([code, signal]): Exit => ({ code, signal }))
  return {
    pid,
    ended,
    output,
    stdout: () => written.stdout,
    stderr: () => written.stderr,
    async says(pattern) {
      const over = new AbortController()
      void ended.then(() => over.abort())
      for (;;) {
        const match = pattern.exec(output())
        if (match !== null) return match
        if (over.signal.aborted) throw new Error(`${pattern} was never said, but:\n${output()}`)
        await once(child, 'said', { signal: over.signal }).catch(() => undefined)
      }
    },
    signal: (signal) => signalIfAlive(pid, signal),
    async kill() {
      signalIfAlive(-pid, 'SIGKILL')
      await ended
    },
  }
}

/** A negative process id means a process group. */
function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
