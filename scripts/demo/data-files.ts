import { randomUUID } from 'node:crypto'
import { mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Column, type Row, readParquet, type Value, writeParquet } from './parquet.ts'

/** The body of an add action, as the demo writes it. */
export interface AddFile {
  path: string
  partitionValues: Record<string, string | null>
  size: number
  modificationTime: number
  dataChange: boolean
  stats: string
}

/** A data file, and the rows that were written into it. */
export interface WrittenFile {
  add: AddFile
  rows: readonly Row[]
}

/** What a writer must know of a table. */
export interface TableLayout {
  location: string
  columns: readonly Column[]
  partitionColumns: readonly string[]
}

/** Writes the rows of one partition as a Parquet file of the table. */
export async function writeDataFile(
  { location, columns, partitionColumns }: TableLayout,
  rows: readonly Row[],
): Promise<WrittenFile> {
  const partitionValues = Object.fromEntries(
    partitionColumns.map((name) => [name, (rows[0]?.[name] ?? null) as string | null]),
  )
  const kept = columns.filter(({ name }) => !partitionColumns.includes(name))
  const path = `${folderOf(partitionValues)}part-${randomUUID()}.parquet`
  const filename = join(location, path)
  await mkdir(dirname(filename), { recursive: true })
  writeParquet(filename, kept, rows)
  const { size, mtimeMs } = await stat(filename)
  const add = {
    path: encodeURI(path),
    partitionValues,
    size,
    modificationTime: Math.floor(mtimeMs),
    dataChange: true,
    stats: statisticsOf(kept, rows),
  }
  return { add, rows }
}

/** Writes a file for each partition that the rows fall into. */
export function writeDataFiles(table: TableLayout, rows: readonly Row[]): Promise<WrittenFile[]> {
  const partitions = Map.groupBy(rows, (row) =>
    JSON.stringify(table.partitionColumns.map((name) => row[name])),
  )
  return Promise.all([...partitions.values()].map((some) => writeDataFile(table, some)))
}

/** Reads the rows of a live file, partition values included, in the columns of the table. */
export async function readDataFile(
  { location, columns }: TableLayout,
  { path, partitionValues }: Pick<AddFile, 'path' | 'partitionValues'>,
): Promise<Row[]> {
  const rows = await readParquet(join(location, decodeURI(path)), columns)
  return rows.map((row) => ({ ...row, ...partitionValues }))
}

function folderOf(partitionValues: Record<string, string | null>): string {
  return Object.entries(partitionValues)
    .map(([name, value]) => `${name}=${value ?? '__HIVE_DEFAULT_PARTITION__'}/`)
    .join('')
}

/** The statistics of a file as JSON text (PROTOCOL.md, "Per-file Statistics"). */
function statisticsOf(columns: readonly Column[], rows: readonly Row[]): string {
  const sorted = columns.map(({ name, type }) => ({
    key: JSON.stringify(name),
    type,
    values: rows.flatMap((row) => row[name] ?? []).toSorted(orderOf(type)),
  }))
  const bounded = sorted.filter(({ type, values }) => type !== 'boolean' && values.length > 0)
  const bounds = (edge: 'min' | 'max') =>
    bounded.map(({ key, type, values }) => {
      const bound = edge === 'min' ? values[0] : values.at(-1)
      return `${key}:${boundText(type, bound ?? null, edge)}`
    })
  const nullCounts = sorted.map(({ key, values }) => `${key}:${rows.length - values.length}`)
  return `{"numRecords":${rows.length},"minValues":{${bounds('min')}},"maxValues":{${bounds('max')}},"nullCount":{${nullCounts}}}`
}

/** How the values of a Delta type are ordered, null aside. */
export function orderOf(type: string): (a: Value, b: Value) => number {
  if (type === 'long') return (a, b) => Number(BigInt(`${a}`) - BigInt(`${b}`))
  const isNumber = ['integer', 'double'].includes(type) || type.startsWith('decimal')
  if (isNumber) return (a, b) => Number(a) - Number(b)
  return (a, b) => Buffer.compare(Buffer.from(`${a}`), Buffer.from(`${b}`))
}

/** A bound as JSON. Those of timestamps have milliseconds, so the upper one is rounded up. */
function boundText(type: string, value: Value, edge: 'min' | 'max'): string {
  if (type === 'long' || type.startsWith('decimal')) return String(value)
  if (type !== 'timestamp') return JSON.stringify(value)
  const isWhole = /\.\d{3}(000)?Z$/.test(String(value))
  const ms = Date.parse(String(value)) + (edge === 'max' && !isWhole ? 1 : 0)
  return JSON.stringify(new Date(ms).toISOString())
}
