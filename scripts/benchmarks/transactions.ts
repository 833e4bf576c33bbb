import { setTimeout as sleep } from 'node:timers/promises'
import { installNessie, type Nessie } from '../interop/tools.ts'
import {
  addOf,
  bareTransaction,
  createBareTables,
  createBareTransactions,
  tablesTogether,
} from './bare-database.ts'
import type { Benchmark, Ground } from './benchmark.ts'
import { makeTables } from './commits.ts'
import { runLoad } from './http-load.ts'
import { peakMb } from './memory.ts'
import { measureNessie } from './nessie.ts'
import { runPgbench } from './pgbench.ts'

const milliseconds = 5000
const connections = 16
const groups = 100
const million = 1_000_000
const linesInChunk = 50_000

interface Prepared {
  ids: string[]
  /** Where it can be had. */
  nessie: Nessie | undefined
}

/**
 * Transactions of one file for each of ten tables over HTTP, beside the same statements bare and commits of as many tables
 * by Nessie: all on the same ten, and each on ten of a thousand. Then a million actions for ten tables, staged and committed.
 */
export const transactions: Benchmark<Prepared> = {
  bar: 'at least 0.8 × pgbench with 16 clients; p99 under 50 ms; 1,000,000 staged actions in bounded memory',
  async prepare(ground) {
    await createBareTables(ground.database, groups * tablesTogether)
    await createBareTransactions(ground.database)
    const nessie = await installNessie()
    if (typeof nessie === 'string') console.error(`Goes on without Nessie. ${nessie}`)
    return {
      ids: await makeTables(ground, groups * tablesTogether),
      nessie: typeof nessie === 'string' ? undefined : nessie,
    }
  },
  async round(ground, { ids, nessie }, number) {
    await untilPublished(ground)
    const results: Record<string, number> =
      nessie === undefined
        ? {}
        : await measureNessie(ground.database, { nessie, connections, milliseconds, groups })
    await compare(ground, results, { title: 'the same ten', ids, groups: 1, number })
    await compare(ground, results, { title: 'ten of 1,000', ids, groups, number })
    await stageMillion(ground, results, number)
    return results
  },
}

/** What a round before has left to publish would take time from what this one measures. */
async function untilPublished({ address }: Ground): Promise<void> {
  for (;;) {
    const metrics = await (await fetch(`${address}/metrics`)).text()
    if (/^deltaworks_mirror_pending_versions 0$/m.test(metrics)) return
    await sleep(200)
  }
}

interface Comparison {
  title: string
  ids: readonly string[]
  groups: number
  number: number
}

async function compare(
  { address, database }: Ground,
  results: Record<string, number>,
  { title, ids, groups, number }: Comparison,
): Promise<void> {
  const bare = await runPgbench(database.connection, {
    script: bareTransaction(groups),
    clients: connections,
    seconds: milliseconds / 1000,
  })
  const { perSecond, p50Ms, p99Ms } = await runLoad({
    address,
    connections,
    milliseconds,
    request: (connection, count) => {
      const from = ((connection * 7919 + count) % groups) * tablesTogether
      const add = addOf(`part-${title}-${number}-${connection}-${count}`)
      const tables = ids
        .slice(from, from + tablesTogether)
        .map((table) => ({ table, operation: 'WRITE', actions: [{ add }] }))
      return { path: '/transactions', body: JSON.stringify({ commit: true, tables }) }
    },
  })
  results[`${title}, pgbench, /s`] = bare.perSecond
  results[`${title}, HTTP, /s`] = perSecond
  results[`${title}, HTTP, p50 ms`] = p50Ms
  results[`${title}, HTTP, p99 ms`] = p99Ms
  results[`${title}, × pgbench`] = perSecond / bare.perSecond
}

async function stageMillion(
  ground: Ground,
  results: Record<string, number>,
  number: number,
): Promise<void> {
  const tables = await makeTables({ ...ground, run: `${ground.run}_m${number}` }, tablesTogether)
  const { id } = await ground.call('POST', '/transactions', { label: 'a million' })
  const start = performance.now()
  let staged = 0
  results['a million staged, resident memory at most, MB'] = await peakMb(
    ground.address,
    async () => {
      for (const table of tables) await stage(ground, `/transactions/${id}/tables/${table}/actions`)
      staged = performance.now()
      await ground.call('POST', `/transactions/${id}/commit`)
    },
  )
  results['a million staged, ms'] = staged - start
  results['a million committed, ms'] = performance.now() - staged
}

async function stage({ address }: Ground, path: string): Promise<void> {
  for (let from = 0; from < million / tablesTogether; from += linesInChunk) {
    const lines = Array.from({ length: linesInChunk }, (_, index) =>
      JSON.stringify({ add: addOf(`part-${from + index}.parquet`) }),
    )
    const response = await fetch(`${address}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n'),
    })
    if (!response.ok) throw new Error(await response.text())
    await response.arrayBuffer()
  }
}
