import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { addOf } from './bare-database.ts'
import type { Benchmark } from './benchmark.ts'
import { makeTables } from './commits.ts'
import { runLoad } from './http-load.ts'

const connections = 32
const milliseconds = 5000

/** Two tables, and a second server on the same database. */
interface Prepared {
  tables: string[]
  second: ServerProcess
}

/** Where a part of a load goes. */
interface Side {
  address: string
  table: string
}

/**
 * Commits of one file each through two servers, beside the same load through one: all to one table, and to a table
 * for each server. The latter tells what two processes cost that never meet.
 */
export const twoServers: Benchmark<Prepared> = {
  bar: 'two servers on one database lose little',
  async prepare(ground) {
    const { host, port, user, database: name } = ground.database.connection
    const query = new URLSearchParams({ host, port: String(port) })
    const second = await startServerProcess(ground.dataDir, {
      DATABASE_URL: `postgres://${user}@localhost/${name}?${query}`,
    })
    return { tables: await makeTables(ground, 2), second }
  },
  async round({ address }, { tables: [table = '', other = ''], second }, number) {
    const here = { address, table }
    const there = { address: second.address, table }
    const alone = await measure([here], `alone-${number}`)
    const shared = await measure([here, there], `shared-${number}`)
    const apart = await measure([here, { ...there, table: other }], `apart-${number}`)
    return {
      ...named('one server', alone),
      ...named('two servers', shared),
      ...named('two servers, a table each', apart),
      'two servers × one': shared.perSecond / alone.perSecond,
      'a table each × one': apart.perSecond / alone.perSecond,
    }
  },
  end: ({ second }) => second.stop(),
}

/** Runs a load that is shared evenly by some sides. */
async function measure(sides: readonly Side[], files: string) {
  const before = await countBatches(sides)
  const results = await Promise.all(
    sides.map(({ address, table }, side) =>
      runLoad({
        address,
        connections: connections / sides.length,
        milliseconds,
        request: (connection, sent) => ({
          path: `/tables/${table}/commits`,
          body: JSON.stringify({
            actions: [{ add: addOf(`${files}-${side}-${connection}-${sent}`) }],
          }),
        }),
      }),
    ),
  )
  const after = await countBatches(sides)
  return {
    perSecond: results.reduce((sum, one) => sum + one.perSecond, 0),
    p99Ms: Math.max(...results.map(({ p99Ms }) => p99Ms)),
    batchUnits: (after.units - before.units) / (after.batches - before.batches),
  }
}

function named(
  name: string,
  { perSecond, p99Ms, batchUnits }: Awaited<ReturnType<typeof measure>>,
) {
  return {
    [`${name}, /s`]: perSecond,
    [`${name}, p99 ms`]: p99Ms,
    [`${name}, commits a batch`]: batchUnits,
  }
}

/** The batches that servers have committed, and the units in them. */
async function countBatches(sides: readonly Side[]) {
  const counts = { units: 0, batches: 0 }
  for (const { address } of sides) {
    const metrics = await (await fetch(`${address}/metrics`)).text()
    const sample = (name: string) =>
      Number(new RegExp(`^deltaworks_commit_batch_units_${name} (\\d+)$`, 'm').exec(metrics)?.[1])
    counts.units += sample('sum')
    counts.batches += sample('count')
  }
  return counts
}
