import { glob } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { tellStory } from '../demo/story.ts'
import { deltaKernelRs, deltaRs, spark } from './fingerprint-readers.ts'
import { type RoundTrip, type SourceTable, tripRound } from './round-trip.ts'
import { installSpark, type Tools } from './tools.ts'

/** What a check found. */
interface Finding {
  covered: string
  faults: string[]
}

/** Tables by Spark, Databricks, delta-rs and Delta Kernel, as their projects keep them for their own tests. */
const root =
  process.env['DELTA_TABLES_DIR'] ?? resolve(import.meta.dirname, '../../../shared/delta-tables')

/** The short form: one table, by the readers that are quickly there. */
export async function checkOneTrip(
  table: SourceTable,
  { folder, tools }: { folder: string; tools: Tools },
): Promise<Finding> {
  const readers = [deltaRs(tools), deltaKernelRs(tools)]
  const [trip] = await tripRound([table], { folder, readers })
  if (trip === undefined) throw new Error('no table came back')
  const covered = `${trip.covered}, in three folders, by ${readers.map(({ name }) => name).join(', ')}`
  return { covered, faults: trip.faults }
}

/** The long form: all tables that are there and another, by all readers; prints what came of each. */
export async function checkAllTrips(
  another: SourceTable,
  { folder, tools }: { folder: string; tools: Tools },
): Promise<Finding> {
  const names: string[] = []
  for await (const log of glob('*/*/_delta_log', { cwd: root })) names.push(dirname(log))
  if (names.length === 0) throw new Error(`there are no tables in ${root}; set DELTA_TABLES_DIR`)
  names.sort()
  const tables = [another, ...names.map((name) => ({ name, folder: join(root, name) }))]
  const sparkHere = await installSpark()
  const readers = [
    deltaRs(tools),
    deltaKernelRs(tools),
    ...(typeof sparkHere === 'string' ? [] : [spark(sparkHere)]),
  ]
  const trips = await tripRound(tables, { folder, readers })
  tell(
    trips,
    readers.map(({ name }) => name),
  )
  const came = trips.filter(({ verdicts }) => verdicts.size > 0)
  const notRun = typeof sparkHere === 'string' ? `; Spark was NOT RUN: ${sparkHere}` : ''
  return {
    covered: `${came.length} of ${tables.length} tables, by ${readers.map(({ name }) => name).join(', ')}${notRun}`,
    faults: trips.flatMap(({ name, faults }) => faults.map((fault) => `${name}: ${fault}`)),
  }
}

function tell(trips: readonly RoundTrip[], readers: readonly string[]): void {
  const rows = trips.map(({ name, covered, verdicts }) => [
    name,
    covered,
    ...readers.map((reader) => verdicts.get(reader) ?? ''),
  ])
  tellStory().table([['table', 'covered', ...readers], ...rows])
}
