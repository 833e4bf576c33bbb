import { createRequire } from 'node:module'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import type { Column, Row } from '../demo/parquet.ts'
import type { Probe, ReadRequest, TableRead, VersionRead } from './table-read.ts'

// Reads a Delta table with ClickHouse, as the JSON on standard input asks, and prints what it finds. The
// folder of the installed package is the only argument.

interface Chdb {
  query: (sql: string, format: string) => string
}

const [npm = ''] = process.argv.slice(2)
const chdb = createRequire(join(npm, 'package.json'))('chdb') as Chdb
const { location, versions, probes } = (await json(process.stdin)) as ReadRequest
// It takes the path of a table for one below the folder it runs in.
process.chdir('/')

const exact = {
  date_time_output_format: "'iso'",
  output_format_decimal_trailing_zeros: 1,
  output_format_json_quote_64bit_integers: 1,
  output_format_json_quote_decimals: 1,
  session_timezone: "'UTC'",
}
const table = `deltaLakeLocal(${quote(location)})`

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}

function query<Answer>(sql: string, settings: Record<string, string | number> = {}): Answer[] {
  const list = Object.entries({ ...exact, ...settings }).map(
    ([name, value]) => `${name} = ${value}`,
  )
  const text = chdb.query(`${sql} SETTINGS ${list.join(', ')}`, 'JSONEachRow')
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line))
}

const deltaTypes: Record<string, string> = {
  Bool: 'boolean',
  Date32: 'date',
  Float64: 'double',
  Int32: 'integer',
  Int64: 'long',
  String: 'string',
  'DateTime64(6)': 'timestamp',
}

interface Described {
  name: string
  type: string
}

function toColumn({ name, type }: Described): Column {
  const inner = /^Nullable\((.*)\)$/.exec(type)?.[1]
  const plain = inner ?? type
  const decimal = /^Decimal\((\d+), (\d+)\)$/.exec(plain)
  return {
    name,
    type: decimal ? `decimal(${decimal[1]},${decimal[2]})` : (deltaTypes[plain] ?? plain),
    nullable: inner !== undefined,
    metadata: {},
  }
}

function readVersion(version: number, settings: Record<string, number>): VersionRead {
  const described = query<Described>(`DESCRIBE ${table}`, settings)
  const rows = query<Row>(`SELECT * FROM ${table}`, settings)
  return { version, columns: described.map(toColumn), rows }
}

const atVersion = (version: number) => ({ delta_lake_snapshot_version: version })

function opens(version: number): boolean {
  try {
    query(`DESCRIBE ${table}`, atVersion(version))
    return true
  } catch {
    return false
  }
}

/** It does not tell which version it reads, so the newest is the last one that it can be asked for. */
function newestVersion(): number {
  let version = versions.at(-1) ?? 0
  while (opens(version + 1)) version += 1
  return version
}

const types = new Map(
  query<Described>(`DESCRIBE ${table}`).map(({ name, type }) => [name, type] as const),
)

function count({ column, value }: Probe): number {
  const text = String(value).replace(/(\d)T(.*)Z$/, '$1 $2')
  const condition = `${column} = CAST(${quote(text)} AS ${types.get(column)})`
  const [answer] = query<{ n: string }>(`SELECT count() AS n FROM ${table} WHERE ${condition}`)
  return Number(answer?.n)
}

const read: TableRead = {
  newest: readVersion(newestVersion(), {}),
  versions: versions.map((version) => readVersion(version, atVersion(version))),
  probeCounts: probes.map(count),
}
process.stdout.write(JSON.stringify(read))
