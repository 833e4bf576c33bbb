import { addOf, bareCommit, createBareTables } from './bare-database.ts'
import type { Benchmark, Ground } from './benchmark.ts'
import { runLoad } from './http-load.ts'
import { runPgbench } from './pgbench.ts'

const milliseconds = 5000

/** Commits of one file each over HTTP, beside the same statements bare. */
function commits(tables: number, bar: string): Benchmark {
  return {
    bar,
    async prepare(ground) {
      await createBareTables(ground.database, tables)
      return makeTables(ground, tables)
    },
    async round(ground, ids, number) {
      const bare = await runPgbench(ground.database.connection, {
        script: bareCommit(tables),
        clients: 32,
        seconds: milliseconds / 1000,
      })
      const results: Record<string, number> = { 'pgbench, 32 clients, /s': bare.perSecond }
      for (const connections of [32, 128]) {
        const { perSecond, p50Ms, p99Ms } = await runLoad({
          address: ground.address,
          connections,
          milliseconds,
          request: (connection, count) => ({
            path: `/tables/${ids[(connection * 7919 + count) % ids.length]}/commits`,
            body: JSON.stringify({
              operation: 'WRITE',
              actions: [{ add: addOf(`part-${number}-${connections}-${connection}-${count}`) }],
            }),
          }),
        })
        results[`HTTP, ${connections} connections, /s`] = perSecond
        results[`HTTP, ${connections} connections, p50 ms`] = p50Ms
        results[`HTTP, ${connections} connections, p99 ms`] = p99Ms
        results[`HTTP, ${connections} connections, × pgbench`] = perSecond / bare.perSecond
      }
      return results
    },
  }
}

/** Makes as many tables and answers their ids. */
export async function makeTables({ call, run }: Ground, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let number = 0; number < count; number += 1) {
    const { id } = await call('POST', '/tables', {
      name: `bench_${run}_${number}`,
      schema: {
        type: 'struct',
        fields: [{ name: 'id', type: 'long', nullable: true, metadata: {} }],
      },
    })
    ids.push(id)
  }
  return ids
}

export const hotTable = commits(
  1,
  'at least 4 × pgbench on one row at 32 connections; p99 under 25 ms',
)
export const manyTables = commits(1000, 'at least 0.8 × pgbench on 1,000 rows')
