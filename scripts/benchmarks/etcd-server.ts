import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../support/free-port.ts'

/** An etcd of one member in a process of its own, which is gone when it is disposed of. */
export interface EtcdServer extends AsyncDisposable {
  /** Of its JSON gateway, such as `http://127.0.0.1:41235`. */
  address: string
}

const startWithinMs = 20_000

/** Starts the `etcd` on the path with every default, its data in `folder`; nothing where there is none. */
export async function startEtcd(folder: string): Promise<EtcdServer | undefined> {
  const program = await findEtcd()
  if (program === undefined) return undefined
  const address = `http://127.0.0.1:${await freePort()}`
  const peer = `http://127.0.0.1:${await freePort()}`
  const child = spawn(
    program,
    [
      ...['--data-dir', folder, '--logger', 'zap', '--log-level', 'error'],
      ...['--listen-client-urls', address, '--advertise-client-urls', address],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', `default=${peer}`],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
  const stop = () => kill(child)
  try {
    await healthy(address, child)
  } catch (error) {
    await stop()
    throw error
  }
  return { address, [Symbol.asyncDispose]: stop }
}

async function findEtcd(): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const program = join(folder, 'etcd')
    const isThere = await access(program, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return program
  }
  return undefined
}

async function healthy(address: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + startWithinMs
  while (Date.now() < deadline && child.exitCode === null) {
    const answer = await fetch(`${address}/health`).catch(() => undefined)
    if (answer?.ok) return
    await sleep(50)
  }
  throw new Error(`etcd took no requests, and ended with ${child.exitCode ?? 'nothing'}`)
}

/** What it has stored is thrown away, so nothing is lost. */
async function kill(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
