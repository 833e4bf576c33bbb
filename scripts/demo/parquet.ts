import { asyncBufferFromFile, parquetReadObjects, type SchemaElement } from 'hyparquet'
import { parquetWriteFile } from 'hyparquet-writer'

/** A value as JSON holds it exactly: longs, decimals, dates and timestamps are text. */
export type Value = string | number | boolean | null

export type Row = Record<string, Value>

/** A field of a Delta schema with a primitive type (PROTOCOL.md, "Schema Serialization Format"). */
export interface Column {
  name: string
  type: string
  nullable: boolean
  metadata: Record<string, unknown>
}

/** How values of a Delta type are kept in Parquet (PROTOCOL.md, "Primitive Types"). */
interface Encoding {
  element: Omit<SchemaElement, 'name' | 'repetition_type'>
  encode: (value: Value) => unknown
  decode: (stored: unknown) => Value
}

const asItIs = {
  encode: (value: Value) => value,
  decode: (stored: unknown) => stored as Value,
}

const encodings: Record<string, Encoding> = {
  boolean: { element: { type: 'BOOLEAN' }, ...asItIs },
  date: {
    element: { type: 'INT32', converted_type: 'DATE', logical_type: { type: 'DATE' } },
    encode: (value) => Date.parse(`${value}T00:00:00Z`) / dayMs,
    decode: (stored) => new Date(Number(stored) * dayMs).toISOString().slice(0, 10),
  },
  double: { element: { type: 'DOUBLE' }, ...asItIs },
  integer: { element: { type: 'INT32' }, ...asItIs },
  long: { element: { type: 'INT64' }, encode: (value) => BigInt(String(value)), decode: String },
  string: {
    element: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
    ...asItIs,
  },
  timestamp: {
    element: {
      type: 'INT64',
      converted_type: 'TIMESTAMP_MICROS',
      logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
    },
    encode: (value) => toMicros(String(value)),
    decode: (stored) => fromMicros(stored as bigint),
  },
}

const dayMs = 86_400_000

function encodingOf(type: string): Encoding {
  const [, precision, scale] = /^decimal\((\d+),(\d+)\)$/.exec(type) ?? []
  const encoding = scale === undefined ? encodings[type] : decimal(Number(precision), Number(scale))
  if (encoding === undefined) throw new Error(`no values of type ${type} are written here`)
  return encoding
}

function decimal(precision: number, scale: number): Encoding {
  return {
    element: { type: 'INT64', converted_type: 'DECIMAL', precision, scale },
    encode: (value) => BigInt(String(value).replace('.', '')),
    decode: (stored) => (stored as number).toFixed(scale),
  }
}

/** Microseconds since the epoch of an instant such as `2026-11-18T08:15:30.123456Z`. */
function toMicros(instant: string): bigint {
  const micros = /\.\d{3}(\d{3})Z$/.exec(instant)?.[1] ?? '0'
  return BigInt(Date.parse(instant)) * 1000n + BigInt(micros)
}

function fromMicros(micros: bigint): string {
  const rest = String(micros % 1000n).padStart(3, '0')
  return new Date(Number(micros / 1000n)).toISOString().replace('Z', `${rest}Z`)
}

/** Writes rows as a Parquet file. */
export function writeParquet(filename: string, columns: readonly Column[], rows: readonly Row[]) {
  const elements = columns.map(({ name, type, nullable }) => ({
    name,
    ...encodingOf(type).element,
    repetition_type: nullable ? ('OPTIONAL' as const) : ('REQUIRED' as const),
  }))
  parquetWriteFile({
    filename,
    schema: [{ name: 'root', num_children: columns.length }, ...elements],
    columnData: columns.map(({ name, type }) => {
      const { encode } = encodingOf(type)
      return { name, data: rows.map((row) => mapValue(row[name], encode)) }
    }),
    createdBy: 'Deltaworks demo',
  })
}

/** Reads the rows of a Parquet file; a column that it lacks is null. */
export async function readParquet(path: string, columns: readonly Column[]): Promise<Row[]> {
  const stored = await parquetReadObjects({
    file: await asyncBufferFromFile(path),
    parsers: { timestampFromMicroseconds: (micros) => micros, dateFromDays: (days) => days },
  })
  return stored.map((row) =>
    Object.fromEntries(
      columns.map(({ name, type }) => [
        name,
        mapValue(row[name], encodingOf(type).decode) as Value,
      ]),
    ),
  )
}

function mapValue<T>(value: T | null | undefined, map: (value: T) => unknown): unknown {
  return value === null || value === undefined ? null : map(value)
}
