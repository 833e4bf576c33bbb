import { execFile } from 'node:child_process'
import { cp, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { installTools } from '../interop/tools.ts'
import type { Benchmark } from './benchmark.ts'
import { peakMb, residentMb } from './memory.ts'
import { percentile, waitsDuring } from './waits.ts'

const files = 1_000_000
const million = new Intl.NumberFormat('en').format(files)

interface Prepared {
  table: string
  location: string
  python: string
}

/** The checkpoint of a table with a million files, beside delta-rs making one of the same table. */
export const checkpoint: Benchmark<Prepared> = {
  bar: `${million} files in less than 500 MB of resident memory, requests answered meanwhile; beside delta-rs`,
  async prepare(ground) {
    const { python } = await installTools()
    const { id, location } = await ground.call('POST', '/tables', {
      name: `checkpoint_${ground.run}`,
      schema: { type: 'struct', fields: columns },
      partitionColumns: ['day'],
    })
    const lines = ReadableStream.from(addLines())
    const response = await fetch(`${ground.address}/tables/${id}/commits`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines,
      duplex: 'half',
    } as RequestInit)
    if (response.status !== 201) throw new Error(await response.text())
    while ((await ground.call('GET', `/tables/${id}/mirror`)).state !== 'current') await wait(200)
    return { table: id, location, python }
  },
  async round(ground, { table, location, python }) {
    const log = join(location, '_delta_log')
    await removeCheckpoints(log)
    const results: Record<string, number> = {
      'resident memory before, MB': await residentMb(ground.address),
    }
    let waits: number[] = []
    results['resident memory at most, MB'] = await peakMb(ground.address, async () => {
      const start = performance.now()
      const done = ground.call('POST', `/tables/${table}/mirror/checkpoint`, {})
      waits = await waitsDuring(done, ground)
      results['checkpoint, s'] = (performance.now() - start) / 1000
    })
    results['checkpoint, MB'] = await checkpointMb(log)
    results['a request meanwhile, p99 ms'] = percentile(waits, 0.99)
    const copy = `${location}-copy`
    await cp(location, copy, { recursive: true })
    await removeCheckpoints(join(copy, '_delta_log'))
    const { stdout } = await promisify(execFile)(python, [deltaRsProgram, copy])
    const deltaRs = JSON.parse(stdout)
    results['delta-rs: open, s'] = deltaRs.openSeconds
    results['delta-rs: checkpoint, s'] = deltaRs.checkpointSeconds
    results['delta-rs: resident memory at most, MB'] = deltaRs.peakMb
    results['delta-rs: checkpoint, MB'] = await checkpointMb(join(copy, '_delta_log'))
    await rm(copy, { recursive: true })
    return results
  },
}

const deltaRsProgram = fileURLToPath(new URL('checkpoint_delta_rs.py', import.meta.url))
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const columns = [
  ['id', 'long'],
  ['name', 'string'],
  ['amount', 'double'],
  ['at', 'timestamp'],
  ['day', 'date'],
].map(([name, type]) => ({ name, type, nullable: true, metadata: {} }))

/** Files as a writer of a partitioned table tells of them, with statistics of four columns. */
function* addLines(): Generator<Buffer> {
  for (let from = 0; from < files; from += 1000) {
    const lines = Array.from({ length: 1000 }, (_, index) => JSON.stringify(addOf(from + index)))
    yield Buffer.from(`${lines.join('\n')}\n`)
  }
}

function addOf(number: number): object {
  const day = new Date(1_767_225_600_000 + (number % 365) * 86_400_000).toISOString().slice(0, 10)
  const unique = (number * 2_654_435_761) % 2 ** 32
  const stats = {
    numRecords: 1000 + (number % 77),
    minValues: {
      id: number * 1000,
      name: `a${unique}`,
      amount: number * 1.5,
      at: `${day}T00:00:00.000Z`,
    },
    maxValues: {
      id: number * 1000 + 999,
      name: `z${unique}`,
      amount: number * 2.5,
      at: `${day}T23:59:59.999Z`,
    },
    nullCount: { id: 0, name: number % 3, amount: 0, at: 0 },
  }
  return {
    add: {
      path: `day=${day}/part-${String(number % 100).padStart(5, '0')}-${unique.toString(16)}-4c1e-9d6b-0f5b8e2a7c3d.c000.snappy.parquet`,
      partitionValues: { day },
      size: 1_000_000 + number,
      modificationTime: 1_767_225_600_000 + number,
      dataChange: true,
      stats: JSON.stringify(stats),
    },
  }
}

async function removeCheckpoints(log: string): Promise<void> {
  const names = (await readdir(log)).filter((name) => name.includes('checkpoint'))
  await Promise.all(names.map((name) => rm(join(log, name))))
}

async function checkpointMb(log: string): Promise<number> {
  const names = (await readdir(log)).filter((name) => name.endsWith('.parquet'))
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(log, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0) / 1e6
}
