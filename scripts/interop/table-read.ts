import { isDeepStrictEqual } from 'node:util'
import { orderOf } from '../demo/data-files.ts'
import { type Expected, type ExpectedVersion, inColumns, sortRows } from '../demo/ledger.ts'
import type { Column, Row, Value } from '../demo/parquet.ts'

/** A table at one version, as a reader finds it; its rows in any order. */
export interface VersionRead {
  version: number
  columns: readonly Column[]
  rows: readonly Row[]
}

/** A value to filter by, which a reader that skips files by their statistics must still find. */
export interface Probe {
  column: string
  type: string
  value: Value
}

/** What a reader is asked. */
export interface ReadRequest {
  location: string
  versions: readonly number[]
  probes: readonly Probe[]
}

/** What a reader finds. */
export interface TableRead {
  /** Read without naming a version. */
  newest: VersionRead
  /** The operation of each version from 0; absent where the reader shows no history. */
  operations?: readonly string[]
  versions: readonly VersionRead[]
  /** For each probe, in how many rows of the newest version it is found; absent where the reader has no filter. */
  probeCounts?: readonly number[]
}

/** What to ask a reader so that its answer can be compared with `expected`. */
export function requestFor({ table, versions }: Expected): ReadRequest {
  const newest = versions.at(-1)
  return {
    location: table.location,
    versions: versions.map(({ version }) => version),
    probes: newest === undefined ? [] : probesOf(newest),
  }
}

/** The least and the greatest value of each column: where statistics that are off lose rows. */
function probesOf({ columns, rows }: ExpectedVersion): Probe[] {
  return columns.flatMap(({ name, type }) => {
    const values = rows.flatMap((row) => row[name] ?? []).toSorted(orderOf(type))
    const [least, greatest = null] = [values[0], values.at(-1)]
    return least === undefined
      ? []
      : [...new Set([least, greatest])].map((value) => ({ column: name, type, value }))
  })
}

/** Every difference between what a reader found and what was written, in words. */
export function differences(expected: Expected, asked: ReadRequest, read: TableRead): string[] {
  const newest = expected.versions.at(-1)
  const { probeCounts = [] } = read
  const operations = expected.versions.map(({ operation }) => operation)
  return [
    ...expected.versions.flatMap((version, index) =>
      versionDifferences(version, read.versions[index]),
    ),
    ...(newest === undefined ? [] : versionDifferences(newest, read.newest)),
    ...(read.operations === undefined || isDeepStrictEqual(read.operations, operations)
      ? []
      : [`history: ${read.operations.join(', ')} instead of ${operations.join(', ')}`]),
    ...probeCounts.flatMap((count, index) => probeDifferences(asked.probes[index], count, newest)),
  ]
}

function versionDifferences(expected: ExpectedVersion, found: VersionRead | undefined): string[] {
  const { version, columns } = expected
  if (found?.version !== version) return [`version ${version}: found is ${found?.version}`]
  if (!isDeepStrictEqual(found.columns, columns)) {
    return [`version ${version}: the columns are ${JSON.stringify(found.columns)}`]
  }
  const rows = sortRows(found.rows.map((row) => inColumns(row, columns)))
  if (isDeepStrictEqual(rows, expected.rows)) return []
  const texts = new Set(expected.rows.map((row) => JSON.stringify(row)))
  const strange = rows.find((row) => !texts.has(JSON.stringify(row)))
  const example = strange === undefined ? '' : `, such as ${JSON.stringify(strange)}`
  return [`version ${version}: ${rows.length} rows instead of ${expected.rows.length}${example}`]
}

function probeDifferences(
  probe: Probe | undefined,
  count: number,
  newest: ExpectedVersion | undefined,
): string[] {
  if (probe === undefined) return ['a probe was answered that nobody asked for']
  const { column, value } = probe
  const wanted = newest?.rows.filter((row) => row[column] === value).length
  return count === wanted
    ? []
    : [`${column} = ${JSON.stringify(value)}: ${count} rows instead of ${wanted}`]
}
