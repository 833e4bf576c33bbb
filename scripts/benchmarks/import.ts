import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { installTools } from '../interop/tools.ts'
import { addOf } from './bare-database.ts'
import type { Benchmark, Ground } from './benchmark.ts'
import { peakMb } from './memory.ts'
import { percentile, waitsDuring } from './waits.ts'

/** Two folders that hold the same table: all its commits, or its newest one and a checkpoint. */
interface Prepared {
  python: string
  commits: string
  checkpoint: string
}

/**
 * The import of a table of 300,000 files, from its commits and from a checkpoint, beside delta-rs opening it. With the
 * folder of a log in `BENCH_LOG` that log is the table's.
 */
export const importing: Benchmark<Prepared> = {
  bar: '300,000 files beside delta-rs opening the same table; memory that does not grow with the table, requests answered meanwhile',
  async prepare(ground) {
    const { python } = await installTools()
    const commits = join(ground.dataDir, 'foreign', 'commits')
    const checkpoint = join(ground.dataDir, 'foreign', 'checkpoint')
    await mkdir(commits, { recursive: true })
    const given = process.env['BENCH_LOG']
    if (given === undefined) await writeLog(join(commits, '_delta_log'))
    else await cp(given, join(commits, '_delta_log'), { recursive: true })
    await cp(commits, checkpoint, { recursive: true })
    await open(python, checkpoint, 'checkpoint')
    const log = join(checkpoint, '_delta_log')
    const names = (await readdir(log)).filter((name) => /^\d{20}\.json$/.test(name)).sort()
    await Promise.all(names.slice(0, -1).map((name) => rm(join(log, name))))
    return { python, commits, checkpoint }
  },
  async round(ground, { python, ...folders }, number) {
    const results: Record<string, number> = {}
    for (const [what, folder] of Object.entries(folders)) {
      const title = `from ${what}`
      const location = join(ground.dataDir, 'tables', `${what}_${number}`)
      await cp(folder, location, { recursive: true })
      results[`${title}: resident memory at most, MB`] = await peakMb(ground.address, async () => {
        const { seconds, waits } = await importTimed(ground, `${what}_${number}`, location)
        results[`${title}: import, s`] = seconds
        results[`${title}: a request meanwhile, p99 ms`] = percentile(waits, 0.99)
        results[`${title}: a request meanwhile, at most ms`] = percentile(waits, 1)
      })
      const deltaRs = await open(python, location)
      results[`${title}: delta-rs opens, s`] = deltaRs.openSeconds
      results[`${title}: delta-rs resident memory at most, MB`] = deltaRs.peakMb
    }
    return results
  },
}

async function importTimed(
  ground: Ground,
  name: string,
  location: string,
): Promise<{ seconds: number; waits: number[] }> {
  const start = performance.now()
  const importing = ground.call('POST', '/tables/import', { name, location })
  const waits = await waitsDuring(importing, ground)
  const seconds = (performance.now() - start) / 1000
  if ((await importing).statistics.numFiles < 300_000) throw new Error(`${name} has too few files`)
  return { seconds, waits }
}

const program = fileURLToPath(new URL('import_delta_rs.py', import.meta.url))

async function open(
  python: string,
  location: string,
  ...more: string[]
): Promise<{ openSeconds: number; peakMb: number }> {
  const { stdout } = await promisify(execFile)(python, [program, location, ...more])
  return JSON.parse(stdout)
}

const long = (name: string) => ({ name, type: 'long', nullable: true, metadata: {} })

/** A log of 300,000 files in three commits, behind one that makes the table. */
async function writeLog(log: string): Promise<void> {
  await mkdir(log)
  const metaData = {
    id: '3a0ff6a2-0c6f-4c1e-9d6b-0f5b8e2a7c3d',
    format: { provider: 'parquet', options: {} },
    schemaString: JSON.stringify({ type: 'struct', fields: [long('id')] }),
    partitionColumns: [],
    configuration: {},
  }
  const first = [{ protocol: { minReaderVersion: 1, minWriterVersion: 2 } }, { metaData }]
  await writeLines(log, 0, first)
  for (const part of [1, 2, 3]) {
    const adds = Array.from({ length: 100_000 }, (_, index) => ({
      add: addOf(`part-${part}-${index}.parquet`),
    }))
    await writeLines(log, part, adds)
  }
}

function writeLines(log: string, version: number, lines: readonly object[]): Promise<void> {
  const name = `${String(version).padStart(20, '0')}.json`
  return writeFile(join(log, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
}
