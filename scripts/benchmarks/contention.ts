import { addOf, bareRewrite, createBareFiles, createBareTables } from './bare-database.ts'
import type { Benchmark } from './benchmark.ts'
import { runLoad } from './http-load.ts'
import { runPgbench } from './pgbench.ts'

const writers = 64
const milliseconds = 5000

/** A table in which each writer has one file, and what each knows of it. */
interface Prepared {
  table: string
  own: { path: string; version: number }[]
}

/**
 * Writers that read and rewrite a file each, all in one table: no two are in conflict by the rules, so none may be
 * refused. Each tells the version that it has read, which others have moved on since.
 */
export const contention: Benchmark<Prepared> = {
  bar: 'no refusal; at least 1 × pgbench on one row',
  async prepare({ call, run, database }) {
    await createBareTables(database, 1)
    await createBareFiles(database, writers)
    const { id: table } = await call('POST', '/tables', {
      name: `contention_${run}`,
      schema: {
        type: 'struct',
        fields: [{ name: 'id', type: 'long', nullable: true, metadata: {} }],
      },
    })
    const paths = Array.from({ length: writers }, (_, writer) => `part-${writer}`)
    const actions = paths.map((path) => ({ add: addOf(path) }))
    const { version } = await call('POST', `/tables/${table}/commits`, { actions })
    return { table, own: paths.map((path) => ({ path, version })) }
  },
  async round({ address, database }, { table, own }, number) {
    const bare = await runPgbench(database.connection, {
      script: bareRewrite(writers),
      clients: writers,
      seconds: milliseconds / 1000,
    })
    let refused = 0
    let rebased = 0
    const next = (writer: number, count: number) => `part-${writer}-${number}-${count}`
    const sent: string[] = []
    const { perSecond, p50Ms, p99Ms } = await runLoad({
      address,
      connections: writers,
      milliseconds,
      request(writer, count) {
        const { path = '', version } = own[writer] ?? {}
        sent[writer] = next(writer, count)
        const proposal = {
          readVersion: version,
          reads: { files: [path] },
          operation: 'UPDATE',
          actions: [
            { remove: { path, deletionTimestamp: 1_795_000_000_000, dataChange: true } },
            { add: addOf(sent[writer]) },
          ],
        }
        return { path: `/tables/${table}/commits`, body: JSON.stringify(proposal) }
      },
      answered(writer, { status, body }) {
        if (status !== 201 && status !== 409) throw new Error(body)
        if (status === 409) refused += 1
        else {
          const { version, rebasedOver } = JSON.parse(body)
          if (rebasedOver.length > 0) rebased += 1
          own[writer] = { path: sent[writer] ?? '', version }
        }
      },
    })
    return {
      [`pgbench, ${writers} clients, /s`]: bare.perSecond,
      [`HTTP, ${writers} writers, /s`]: perSecond,
      [`HTTP, ${writers} writers, × pgbench`]: perSecond / bare.perSecond,
      [`HTTP, ${writers} writers, p50 ms`]: p50Ms,
      [`HTTP, ${writers} writers, p99 ms`]: p99Ms,
      'rebased over others': rebased,
      refused,
    }
  },
}
