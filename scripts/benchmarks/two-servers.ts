import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { addOf } from './bare-database.ts'
import type { Benchmark } from './benchmark.ts'
import { runLoad } from './http-load.ts'

const connections = 32
const milliseconds = 5000

/** One table, and a second server on the same database. */
interface Prepared {
  table: string
  second: ServerProcess
}

/** Commits of one file each to one table through two servers, beside the same load through one. */
export const twoServers: Benchmark<Prepared> = {
  bar: 'two servers on one database lose little',
  async prepare({ call, run, database, dataDir }) {
    const { host, port, user, database: name } = database.connection
    const query = new URLSearchParams({ host, port: String(port) })
    const second = await startServerProcess(dataDir, {
      DATABASE_URL: `postgres://${user}@localhost/${name}?${query}`,
    })
    const { id: table } = await call('POST', '/tables', {
      name: `shared_${run}`,
      schema: {
        type: 'struct',
        fields: [{ name: 'id', type: 'long', nullable: true, metadata: {} }],
      },
    })
    return { table, second }
  },
  async round({ address }, { table, second }, number) {
    const load = (server: string, count: number) =>
      runLoad({
        address: server,
        connections: count,
        milliseconds,
        request: (connection, sent) => ({
          path: `/tables/${table}/commits`,
          body: JSON.stringify({
            actions: [{ add: addOf(`${new URL(server).port}-${number}-${connection}-${sent}`) }],
          }),
        }),
      })
    const alone = await load(address, connections)
    const shared = await Promise.all(
      [address, second.address].map((server) => load(server, connections / 2)),
    )
    const perSecond = shared.reduce((sum, one) => sum + one.perSecond, 0)
    return {
      'one server, /s': alone.perSecond,
      'one server, p99 ms': alone.p99Ms,
      'two servers, /s': perSecond,
      'two servers, p99 ms': Math.max(...shared.map(({ p99Ms }) => p99Ms)),
      'two × one': perSecond / alone.perSecond,
    }
  },
  end: ({ second }) => second.stop(),
}
