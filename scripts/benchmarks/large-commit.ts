import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { addOf } from './bare-database.ts'
import type { Benchmark, Ground } from './benchmark.ts'
import { peakMb } from './memory.ts'

/** A commit of many files, as the lines of a log file. */
interface LargeCommit {
  columns: readonly string[]
  lines: readonly string[]
}

const long = (name: string) => ({ name, type: 'long', nullable: true, metadata: {} })
const million = 1_000_000

/**
 * Commits of many files over HTTP, beside a COPY of the same rows into a table with the same indexes. With the
 * folder of a log in `BENCH_LOG`, its commits of more than 1,000 lines stand for the 300,000 files.
 */
export const largeCommit: Benchmark<LargeCommit[]> = {
  bar: '10,000 and 300,000 files at most 3 × COPY; 1,000,000 files in less than 400 MB of resident memory',
  async prepare(ground) {
    await ground.database.run('create table bare_files (like files including all)')
    // Neither side is measured cold.
    for (const type of types) await compareFew(ground, {}, { type, prefix: 'warm' })
    const folder = process.env['BENCH_LOG']
    return folder === undefined ? [0, 1, 2].map((part) => partitioned(part)) : readLog(folder)
  },
  async round(ground, archive, number) {
    const results: Record<string, number> = {}
    for (const type of types) await compareFew(ground, results, { type, prefix: `r${number}` })
    const type = 'application/x-ndjson'
    await compare(ground, results, { title: '300,000 files in 3 commits', commits: archive, type })
    for (const tracksRows of [false, true]) {
      const title = tracksRows ? '1,000,000 files with row ids' : '1,000,000 files'
      const configuration = { 'delta.enableRowTracking': String(tracksRows) }
      const table = await makeTable(ground, ['id'], configuration)
      for (const [verb, lineOf] of Object.entries(millionLines)) {
        const what = `${title} ${verb}`
        results[`${what}, resident memory at most, MB`] = await peakMb(ground.address, async () => {
          results[`${what}, ms`] = await commitMillion(ground, table, lineOf)
        })
      }
    }
    return results
  },
}

const types = ['application/json', 'application/x-ndjson']

function compareFew(
  ground: Ground,
  results: Record<string, number>,
  { type, prefix }: { type: string; prefix: string },
): Promise<void> {
  const few = { columns: ['id'], lines: addLines(10_000, prefix) }
  return compare(ground, results, { title: `10,000 files, ${type}`, commits: [few], type })
}

function addLines(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, index) =>
    JSON.stringify({ add: addOf(`${prefix}/part-${index}.parquet`) }),
  )
}

function partitioned(part: number): LargeCommit {
  const lines = Array.from({ length: 100_000 }, (_, index) => {
    const partition = `part_${index % 100}`
    const path = `${partition}/file_${part}_${index}.parquet`
    const add = { ...addOf(path), partitionValues: { partition_col: partition }, stats: undefined }
    return JSON.stringify({ add })
  })
  return { columns: ['partition_col'], lines }
}

async function readLog(folder: string): Promise<LargeCommit[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{20}\.json$/.test(name)).sort()
  const commits = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(folder, name), 'utf8')
      const lines = text.trimEnd().split('\n')
      return lines.filter((line) => line.startsWith('{"add"'))
    }),
  )
  const columns = ['partition_col']
  return commits.flatMap((lines) => (lines.length > 1000 ? { columns, lines } : []))
}

interface Comparison {
  title: string
  commits: readonly LargeCommit[]
  type: string
}

async function compare(
  ground: Ground,
  results: Record<string, number>,
  { title, commits, type }: Comparison,
): Promise<void> {
  const copyMs = await copyBare(ground, commits)
  const table = await makeTable(ground, commits[0]?.columns ?? [])
  const bodies = commits.map(({ lines }) =>
    type === 'application/json' ? `{"actions":[${lines.join(',')}]}` : lines.join('\n'),
  )
  const start = performance.now()
  for (const body of bodies) await send(ground, table, { body, type })
  const ms = performance.now() - start
  results[`${title}, COPY ms`] = copyMs
  results[`${title}, ms`] = ms
  results[`${title}, × COPY`] = ms / copyMs
}

/** COPY of the rows that the commits come to, each in a transaction of its own. */
async function copyBare({ database }: Ground, commits: readonly LargeCommit[]): Promise<number> {
  const { rows } = await database.run('select gen_random_uuid() as id')
  const chunks = commits.map(({ lines }, version) =>
    lines.map((line, index) => rowOf(rows[0].id, version, { line, index })),
  )
  const client = new pg.Client(database.connection)
  await client.connect()
  const start = performance.now()
  for (const chunk of chunks) {
    const buffers = Array.from({ length: Math.ceil(chunk.length / 500) }, (_, index) =>
      chunk.slice(index * 500, index * 500 + 500).join(''),
    )
    await pipeline(Readable.from(buffers), client.query(copyFrom(copyText)))
  }
  const ms = performance.now() - start
  await client.end()
  return ms
}

const copyText =
  'copy bare_files (table_id, added_version, added_position, path, size, num_records, add) from stdin'

function rowOf(id: string, version: number, { line, index }: { line: string; index: number }) {
  const { path, size, stats } = JSON.parse(line).add
  const count = stats === undefined ? null : JSON.parse(stats).numRecords
  const text = line.replaceAll('\\', '\\\\')
  return `${[id, version, index + 1, path, size, count ?? '\\N', text].join('\t')}\n`
}

let tables = 0

async function makeTable(
  { call, run }: Ground,
  columns: readonly string[],
  configuration: Record<string, string> = {},
): Promise<string> {
  tables += 1
  const isPartitioned = columns.includes('partition_col')
  const fields = [
    long('id'),
    ...(isPartitioned ? [{ ...long('partition_col'), type: 'string' }] : []),
  ]
  const { id } = await call('POST', '/tables', {
    name: `large_${run}_${tables}`,
    schema: { type: 'struct', fields },
    partitionColumns: isPartitioned ? ['partition_col'] : [],
    configuration,
  })
  return id
}

async function send(
  { address }: Ground,
  table: string,
  { body, type }: { body: string | ReadableStream; type: string },
): Promise<void> {
  const response = await fetch(`${address}/tables/${table}/commits`, {
    method: 'POST',
    headers: { 'content-type': type },
    body,
    ...(typeof body !== 'string' && { duplex: 'half' }),
  } as RequestInit)
  if (response.status !== 201) throw new Error(await response.text())
  await response.arrayBuffer()
}

type LineOf = (path: string) => string

const deletionTimestamp = Date.now()

/** What happens to each of a million files, one commit after the other. */
const millionLines: Record<string, LineOf> = {
  added: (path) => JSON.stringify({ add: addOf(path) }),
  removed: (path) => JSON.stringify({ remove: { path, deletionTimestamp, dataChange: true } }),
}

/** One commit of a million files, made while it is sent. */
async function commitMillion(ground: Ground, table: string, lineOf: LineOf): Promise<number> {
  function* chunks() {
    for (let from = 0; from < million; from += 1000) {
      const lines = Array.from({ length: 1000 }, (_, index) =>
        lineOf(`part-${from + index}.parquet`),
      )
      yield Buffer.from(`${lines.join('\n')}\n`)
    }
  }
  const start = performance.now()
  const body = ReadableStream.from(chunks())
  await send(ground, table, { body, type: 'application/x-ndjson' })
  return performance.now() - start
}
