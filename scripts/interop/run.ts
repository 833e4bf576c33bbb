import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Expected } from '../demo/ledger.ts'
import { tellStory } from '../demo/story.ts'
import { startServerProcess } from '../support/server-process.ts'
import { type Trimmed, trimAtCheckpoints } from './checkpoints.ts'
import { checkConsumer } from './consumer.ts'
import { checkForeignWriter } from './foreign-writer.ts'
import { lintOpenApi } from './openapi-lint.ts'
import { clickHouse, deltaRs, type Reader, service } from './readers.ts'
import { checkAllTrips, checkOneTrip } from './round-trip-checks.ts'
import { runSchemathesis } from './schemathesis.ts'
import { differences, requestFor } from './table-read.ts'
import { installTools, type Tools } from './tools.ts'
import { checkTransactions } from './transactions.ts'

// Lets programs of others judge the service: readers of Delta tables read what the demo has published, one that writes
// does so where the service does, and tools for OpenAPI take the document at its word. With `round-trip` what the readers
// read is taken over first, and tables of others too, and written anew. Ends with 1 when one of them disagrees.

/** What a check found. */
interface Finding {
  /** What was looked at, in short. */
  covered: string
  faults: string[]
}

interface Result extends Finding {
  check: string
  seconds: string
}

const results: Result[] = []

async function check(name: string, run: () => Promise<Finding>): Promise<void> {
  process.stdout.write(`${name} …\n`)
  const start = performance.now()
  const finding = await run().catch((error: Error & { stdout?: string }) => ({
    covered: 'it failed',
    faults: [error.stdout ?? '', error.stack ?? error.message],
  }))
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  results.push({ check: name, seconds, ...finding })
}

async function playDemo(folder: string): Promise<Finding> {
  const program = fileURLToPath(new URL('../demo.ts', import.meta.url))
  await promisify(execFile)(process.execPath, [program, '--keep', folder])
  const { versions } = await readExpected(folder)
  return { covered: `${versions.length} versions written`, faults: [] }
}

async function readExpected(folder: string): Promise<Expected> {
  return JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8'))
}

async function compare(expected: Expected, reader: Reader): Promise<Finding> {
  const asked = requestFor(expected)
  const read = await reader(asked)
  const { rows, columns, version } = read.newest
  const covered = [
    `version ${expected.versions[0]?.version} to ${version}`,
    `newest with ${rows.length} rows of ${columns.length} columns`,
    ...(read.operations === undefined ? [] : ['history']),
    ...(read.probeCounts === undefined ? [] : [`${read.probeCounts.length} filters`]),
  ]
  return { covered: covered.join(', '), faults: differences(expected, asked, read) }
}

async function checkReaders(folder: string, tools: Tools): Promise<void> {
  const expected = await readExpected(folder)
  await check('The service over HTTP', async () => {
    const server = await startServerProcess(folder)
    try {
      return await compare(expected, service(server.address, expected))
    } finally {
      await server.stop()
    }
  })
  await check('delta-rs', () => compare(expected, deltaRs(tools)))
  await check('ClickHouse', () => compare(expected, clickHouse(tools)))
}

/** Without what came before a checkpoint, everything must be found in it. */
async function checkCheckpoints(folder: string, tools: Tools): Promise<void> {
  const copies: Trimmed[] = []
  await check('Checkpoints', async () => {
    const server = await startServerProcess(folder)
    try {
      const expected = await readExpected(folder)
      copies.push(...(await trimAtCheckpoints(server.address, expected, `${folder}-trimmed`)))
    } finally {
      await server.stop()
    }
    return { covered: `${copies.length} written`, faults: [] }
  })
  for (const { what, expected } of copies) {
    await check(`delta-rs: checkpoint ${what}`, () => compare(expected, deltaRs(tools)))
    await check(`ClickHouse: checkpoint ${what}`, () => compare(expected, clickHouse(tools)))
  }
}

async function checkApi(tools: Tools): Promise<void> {
  await check('Redocly, recommended rules', async () => ({
    covered: 'openapi/openapi.json, errors and warnings',
    faults: await lintOpenApi(tools),
  }))
  await check('Schemathesis', async () => {
    const report = await runSchemathesis(tools)
    const operations = /Tested: +(\d+)/.exec(report)?.[1]
    const requests = /(\d+) generated/.exec(report)?.[1]
    return { covered: `${operations} operations, ${requests} test cases`, faults: [] }
  })
}

/** What the demo wrote, and in the long form what others did, taken over and written anew. */
async function checkRoundTrips(demo: string, tools: Tools): Promise<void> {
  const { table } = await readExpected(demo)
  const source = { name: table.name, folder: table.location, isOurs: true }
  const trip = isLong ? checkAllTrips : checkOneTrip
  await check('Round trip', () => trip(source, { folder: `${demo}-trip`, tools }))
}

async function checkAll(folder: string, tools: Tools): Promise<void> {
  const demo = join(folder, 'demo')
  await check('The demo', () => playDemo(demo))
  if (results.every(({ faults }) => faults.length === 0)) {
    await checkReaders(demo, tools)
    await checkCheckpoints(demo, tools)
    await checkRoundTrips(demo, tools)
  }
  if (isLong) return
  await check('delta-rs as a second writer', () =>
    checkForeignWriter(join(folder, 'shared'), tools),
  )
  await check('delta-rs: transactions', () => checkTransactions(join(folder, 'bank'), tools))
  await check('delta-rs: a consumer that is killed', () =>
    checkConsumer(join(folder, 'stream'), tools),
  )
  await checkApi(tools)
}

const isLong = process.argv[2] === 'round-trip'
const tools = await installTools()
const folder = await mkdtemp(join(tmpdir(), 'deltaworks-interop-'))
try {
  await checkAll(folder, tools)
} finally {
  await rm(folder, { recursive: true, force: true })
}

process.stdout.write('\n')
tellStory().table([
  ['check', 'covered', 'result', 'seconds'],
  ...results.map(({ check, covered, faults, seconds }) => [
    check,
    covered,
    faults.length === 0 ? 'agrees' : `${faults.length} faults`,
    seconds,
  ]),
])
for (const { check, faults } of results) {
  for (const fault of faults) process.stdout.write(`\n${check}: ${fault}\n`)
}
if (results.some(({ faults }) => faults.length > 0)) process.exitCode = 1
