import t from 'tap'
import { startBothServers } from './both-servers.ts'
import { checkRun } from './check-run.ts'
import { definition, startClients } from './clients.ts'
import { readTableEnd } from './table-end.ts'

/** How many times something goes wrong; the full test takes 40. */
const faults = Number(process.env['FAULTS'] ?? 2)
const commitsBetween = Number(process.env['COMMITS_BETWEEN'] ?? 60)
const clientsCount = 64

t.setTimeout(120_000 + faults * 30_000)

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
