/**
 * Measures beside the limit: `npm run bench -- NAME [--rounds N] [--json]`. Each runs the bare database and the
 * service in turn, on the same database, and prints medians.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startServerProcess } from '../support/server-process.ts'
import { openBareDatabase } from './bare-database.ts'
import type { Benchmark, Ground } from './benchmark.ts'
import { checkpoint } from './checkpoint.ts'
import { hotTable, manyTables } from './commits.ts'
import { contention } from './contention.ts'
import { elections } from './elections.ts'
import { events } from './events.ts'
import { growth } from './growth.ts'
import { importing } from './import.ts'
import { largeCommit } from './large-commit.ts'
import { locks } from './locks.ts'
import { mirror } from './mirror.ts'
import { scans } from './scans.ts'
import { state } from './state.ts'
import { transactions } from './transactions.ts'
import { twoServers } from './two-servers.ts'
import { watchers } from './watchers.ts'

// biome-ignore lint/suspicious/noExplicitAny: each benchmark prepares what it needs
const benchmarks: Record<string, Benchmark<any>> = {
  'hot-table': hotTable,
  'many-tables': manyTables,
  contention,
  elections,
  events,
  growth,
  checkpoint,
  import: importing,
  'large-commit': largeCommit,
  locks,
  mirror,
  scan: scans,
  state,
  transactions,
  'two-servers': twoServers,
  watchers,
}

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '3' } },
  allowPositionals: true,
})
const [name = ''] = positionals
const benchmark = benchmarks[name]
if (benchmark === undefined) {
  console.error(`Say which: ${Object.keys(benchmarks).join(', ')}.`)
  process.exit(2)
}

const dataDir = await mkdtemp(join(tmpdir(), 'deltaworks-bench-'))
const server = await startServerProcess(dataDir)
const database = await openBareDatabase(dataDir)
try {
  const ground: Ground = {
    address: server.address,
    database,
    dataDir,
    run: String(process.pid),
    call: (method, path, body) => call(`${server.address}${path}`, method, body),
  }
  const rounds = await measure(benchmark, ground, Number(values.rounds))
  const medians = Object.fromEntries(
    Object.keys(rounds[0] ?? {}).map((key) => [
      key,
      median(rounds.map((round) => round[key] ?? 0)),
    ]),
  )
  const report = {
    name,
    bar: benchmark.bar,
    machine: describeMachine(),
    rounds: rounds.length,
    medians,
  }
  if (values.json) console.log(JSON.stringify(report))
  else print(report)
} finally {
  await database.close()
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}

async function measure<Prepared>(benchmark: Benchmark<Prepared>, ground: Ground, count: number) {
  const prepared = await benchmark.prepare(ground)
  const rounds: Record<string, number>[] = []
  try {
    for (let number = 0; number < count; number += 1) {
      rounds.push(await benchmark.round(ground, prepared, number))
    }
  } finally {
    await benchmark.end?.(prepared)
  }
  return rounds
}

async function call(url: string, method: string, body?: object) {
  const response = await fetch(url, {
    method,
    ...(body !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return JSON.parse(text)
}

function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function describeMachine(): string {
  const [cpu] = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${cpus().length} × ${cpu?.model ?? 'unknown'}, ${memory} GiB, Node ${process.versions.node}`
}

function print(report: {
  name: string
  bar: string
  machine: string
  medians: Record<string, number>
}) {
  console.log(`${report.name}: ${report.bar}\n${report.machine}\n`)
  for (const [key, value] of Object.entries(report.medians)) {
    console.log(`${key.padEnd(40)} ${value < 100 ? value.toFixed(2) : Math.round(value)}`)
  }
}
