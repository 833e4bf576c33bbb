import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { startEmbeddedPostgres } from '../../src/database/embedded.ts'
import {
  killPostmaster,
  makeDataDir,
  makeUsedDataDir,
  postmasterPid,
  type ServerProcess,
  startServerProcess,
} from '../support/process.ts'
import { startProxy } from '../support/proxy.ts'

/** Two servers as they run now, and what can happen to them and their database. */
export interface BothServers {
  dataDir: string
  running: { first: ServerProcess; second: ServerProcess }
  mishaps: (() => Promise<void>)[]
}

/**
 * A server on an embedded PostgreSQL, and one that shares it over connections that can be cut: among the mishaps is that
 * it is not told of the end of a transaction with the text `written`.
 */
export async function startBothServers(
  t: Test,
  written = 'insert into commits',
): Promise<BothServers> {
  const dataDir = await makeUsedDataDir(t)
  const one = { DATA_DIR: dataDir }
  const first = await startServerProcess(t, one)
  const silent = { info() {}, warn() {}, error() {} }
  const postgres = await startEmbeddedPostgres({ folder: join(dataDir, 'postgres'), log: silent })
  const { connection } = postgres
  await postgres.leave()
  const proxy = await startProxy(t, { connection, url: '', drop: async () => {} })
  const other = {
    DATABASE_URL: proxy.url,
    DATA_DIR: await makeDataDir(t),
    MIRROR_ROOTS: join(dataDir, 'tables'),
  }
  const second = await startServerProcess(t, other)
  const restart = async (server: ServerProcess, settings: Record<string, string>) => {
    await server.kill()
    // The same port, because the clients know no other.
    return startServerProcess(t, { ...settings, PORT: new URL(server.address).port })
  }
  const running = { first, second }
  const mishaps = [
    async () => {
      running.first = await restart(running.first, one)
    },
    () => proxy.loseCommit({ with: written }),
    async () => {
      while (postmasterPid(dataDir) === undefined) await sleep(5)
      await killPostmaster(dataDir, 'SIGKILL')
    },
    async () => {
      running.second = await restart(running.second, other)
    },
  ]
  return { dataDir, running, mishaps }
}
