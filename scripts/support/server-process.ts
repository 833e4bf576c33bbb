import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import packageJson from '../../package.json' with { type: 'json' }
import { SettingsSchema } from '../../src/settings.ts'

/** A server in a process of its own, on an embedded PostgreSQL and a free port. */
export interface ServerProcess {
  /** Such as `http://127.0.0.1:41235`. */
  address: string
  /** Stops the server and its PostgreSQL; throws when it fails to end well. */
  stop: () => Promise<void>
}

const program = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** Starts `deltaworks serve` on `dataDir`; throws with what it said when it does not come up. */
export async function startServerProcess(
  dataDir: string,
  settings: Record<string, string> = {},
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [...nodeOptions(), program, 'serve'], {
    env: {
      ...process.env,
      ...unset(),
      DATA_DIR: dataDir,
      PORT: '0',
      LOG_LEVEL: 'warn',
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const address = await listeningAddress(child)
  return { address, stop: () => stopProcess(child) }
}

/** What `npm start` tells Node. */
function nodeOptions(): string[] {
  return packageJson.scripts.start.split(' ').filter((word) => word.startsWith('--'))
}

/** No setting of the caller's own, least of all its database, may reach the server. */
function unset(): Record<string, string> {
  return Object.fromEntries(Object.keys(SettingsSchema.properties).map((name) => [name, '']))
}

async function listeningAddress(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the output of the server is not at hand')
  const said: string[] = []
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    said.push(line)
    const address = / listens on (\S+),/.exec(line)?.[1]
    if (address !== undefined) resolve(address)
  })
  child.once('error', reject)
  child.once('exit', (code, signal) => {
    reject(new Error(`the server ended with ${code ?? signal}: ${said.join('\n')}`))
  })
  return promise
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }
  if (child.exitCode !== 0) {
    throw new Error(`the server ended with ${child.exitCode ?? child.signalCode}`)
  }
}
