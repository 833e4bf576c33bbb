import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
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
import { checkRun } from './check-run.ts'
import { definition, startClients } from './clients.ts'
import { readTableEnd } from './table-end.ts'

/** How many times something goes wrong; the full test takes 40. */
const faults = Number(process.env['FAULTS'] ?? 2)
const commitsBetween = Number(process.env['COMMITS_BETWEEN'] ?? 60)
const clientsCount = 64

t.setTimeout(120_000 + faults * 30_000)

/** A server on an embedded PostgreSQL, and one that shares it over connections that can be cut. */
async function startBothServers(t: Test) {
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
    () => proxy.loseCommit({ with: 'insert into commits' }),
    async () => {
      while (postmasterPid(dataDir) === undefined) await sleep(5)
      await killPostmaster(dataDir, 'SIGKILL')
    },
    async () => {
      running.second = await restart(running.second, other)
    },
  ]
  return { running, mishaps }
}

t.test(
  `the rules explain all that 64 clients of two servers are told, in ${faults} faults`,
  async (t) => {
    const { running, mishaps } = await startBothServers(t)
    const { first, second } = running
    const tables = await Promise.all([1, 2, 3].map(() => first.makeTable(definition)))
    const clients = startClients([first, second], { tables, count: clientsCount })
    for (let fault = 0; fault < faults; fault += 1) {
      await clients.progress(commitsBetween)
      await mishaps[fault % mishaps.length]?.()
    }
    await clients.progress(commitsBetween)
    await clients.end()
    for (const table of tables) await running.first.published(table)
    const ends = []
    for (const table of tables) ends.push(await readTableEnd(running.first, table))
    t.strictSame(checkRun(clients.run, ends), [])
    t.strictSame(clients.surprises, [])
    const { commits, reads } = clients.run
    const statuses = commits.flatMap(({ attempts }) =>
      attempts.flatMap(({ status, body }) =>
        status === undefined ? [] : `${status} ${JSON.parse(body ?? '{}').code ?? ''}`,
      ),
    )
    const counts = Map.groupBy(statuses, (status) => status)
    for (const status of ['201 ', '200 ', '409 version-conflict', '409 concurrent-append']) {
      t.ok(counts.has(status), `some were answered ${status}`)
    }
    const told = [...counts].map(([status, all]) => `${all.length} × ${status}`)
    t.comment(`${commits.length} commits, ${reads.length} reads: ${told.sort().join(', ')}`)
    for (const server of [running.second, running.first]) {
      t.strictSame(await server.stop(), { code: 0, signal: null })
    }
  },
)
