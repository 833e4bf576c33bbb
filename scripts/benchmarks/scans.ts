import { get } from 'node:http'
import { createPool } from '../../src/database/connect.ts'
import { copyOut } from '../../src/database/copy-out.ts'
import { allFiles, beforeFiles } from '../../src/snapshots/queries.ts'
import type { Benchmark, Ground } from './benchmark.ts'
import { makeFileTable } from './file-tables.ts'
import { residentMb } from './memory.ts'

const files = 1_000_000
const days = 10_000
const scansPerRound = 15

interface Prepared {
  byId: string
  byDay: string
  /** Time of the first scan of each, in milliseconds. */
  cold: Record<string, number>
}

const literal = (value: unknown, valueType: string) => ({ op: 'literal', value, valueType })
const test = (op: string, name: string, other: object) => ({
  op,
  children: [{ op: 'column', name }, other],
})

/** Keeps 100 files by their least and greatest id. */
function byId(number: number): object {
  const first = ((number * 7919) % (files - 100)) * 100
  return {
    op: 'and',
    children: [
      test('greaterThanOrEqual', 'id', literal(first, 'long')),
      test('lessThan', 'id', literal(first + 10_000, 'long')),
    ],
  }
}

/** Keeps the 100 files of a partition. */
function byDay(number: number): object {
  const day = new Date(Date.UTC(2000, 0, 1 + ((number * 7919) % days))).toISOString().slice(0, 10)
  return test('equal', 'day', literal(day, 'date'))
}

async function scan({ call }: Ground, table: string, predicate: object): Promise<number> {
  const began = performance.now()
  const { numMatched, items } = await call('POST', `/tables/${table}/scan`, { predicate })
  if (numMatched !== 100 || items.length !== 100) throw new Error(`${numMatched} files, not 100`)
  return performance.now() - began
}

async function medianOf(count: number, measure: (number: number) => Promise<number>) {
  const times: number[] = []
  for (let number = 0; number < count; number += 1) times.push(await measure(number))
  return times.sort((a, b) => a - b)[Math.floor(count / 2)] ?? 0
}

/** Reads all files over HTTP; the time in milliseconds. */
function readExport(address: string, table: string): Promise<number> {
  const began = performance.now()
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const headers = { accept: 'application/x-ndjson' }
  get(`${address}/tables/${table}/files`, { headers }, (answer) => {
    answer.on('error', reject).on('end', () => resolve(performance.now() - began))
    answer.resume()
  }).on('error', reject)
  return promise
}

/** Reads the same rows from PostgreSQL; the time in milliseconds. */
async function readBare({ database }: Ground, tableId: string): Promise<number> {
  const pool = createPool({
    connection: database.connection,
    max: 1,
    waitMsMax: 5000,
    lockMsMax: 5000,
    statementMsMax: 600_000,
    pipeline: false,
    onError: () => {},
  })
  const began = performance.now()
  const query = allFiles({ tableId, version: Number.MAX_SAFE_INTEGER }, beforeFiles)
  for await (const _ of await copyOut(pool, query));
  const time = performance.now() - began
  await pool.end()
  return time
}

/** Scans of a million files, and all of them as lines. */
export const scans: Benchmark<Prepared> = {
  bar: '100 of 1,000,000 files under 100 ms; all as NDJSON at most 2 × COPY; snapshot under 5 ms',
  async prepare(ground) {
    const common = { files, perVersion: 1000 }
    const day = `(date '2000-01-01' + n % ${days})`
    const idTable = { ...common, name: `ids_${ground.run}`, partitionColumns: [] }
    const dayTable = { ...common, name: `days_${ground.run}`, partitionColumns: ['day'], day }
    const prepared = {
      byId: await makeFileTable(ground, idTable),
      byDay: await makeFileTable(ground, dayTable),
    }
    const rss = await residentMb(ground.address)
    const cold = {
      'server before, MB': rss,
      'first scan by statistics, ms': await scan(ground, prepared.byId, byId(0)),
      'server after the first scan, MB': await residentMb(ground.address),
      'first scan by partition, ms': await scan(ground, prepared.byDay, byDay(0)),
    }
    return { ...prepared, cold }
  },
  async round(ground, { byId: idTable, byDay: dayTable, cold }, number) {
    const { address, call } = ground
    const first = number * scansPerRound
    const bare = await readBare(ground, idTable)
    const lines = await readExport(address, idTable)
    return {
      ...cold,
      'scan by statistics, ms': await medianOf(scansPerRound, (at) =>
        scan(ground, idTable, byId(first + at)),
      ),
      'scan by partition, ms': await medianOf(scansPerRound, (at) =>
        scan(ground, dayTable, byDay(first + at)),
      ),
      'COPY of all files, ms': bare,
      'all files as NDJSON, ms': lines,
      'all files as NDJSON, × COPY': lines / bare,
      'snapshot, ms': await medianOf(20, async () => {
        const began = performance.now()
        await call('GET', `/tables/${idTable}/snapshot`)
        return performance.now() - began
      }),
      'server at the end of the round, MB': await residentMb(address),
    }
  },
}
