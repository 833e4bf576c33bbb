import type { SchemaElement, SchemaTree } from 'hyparquet'

/** Turns a row of a checkpoint, as it is stored, into the line that stands for it in a log. */
export type RowToLine = (row: Record<string, unknown>) => string | undefined

/** Columns of a file action that repeat others in another form. */
const parsedColumns = ['stats_parsed', 'partitionValues_parsed']

/**
 * Makes lines of the rows of a checkpoint (PROTOCOL.md, "Checkpoint Schema"): the one action of a row with all that is
 * not null. Where an add has its statistics as columns alone, they become JSON again.
 */
export function rowsToLines({ children }: SchemaTree): RowToLine {
  const writers = new Map(children.map((column) => [column.element.name, structWriter(column)]))
  return (row) => {
    const name = Object.keys(row).find((one) => isGiven(row[one]))
    const write = name === undefined ? undefined : writers.get(name)
    if (name === undefined || write === undefined) return undefined
    return `{${JSON.stringify(name)}:${write(row[name])}}`
  }
}

type Writer = (value: unknown) => string | undefined

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

/** Writes an action: a struct, and the statistics that it may have as columns. */
function structWriter(column: SchemaTree): (value: unknown) => string {
  const isFile = ['add', 'remove'].includes(column.element.name)
  const parsed = column.children.find(({ element }) => element.name === 'stats_parsed')
  const own = column.children.filter(
    ({ element }) => !isFile || !parsedColumns.includes(element.name),
  )
  const writeFields = fieldsWriter(own)
  const writeStatistics = parsed && fieldsWriter(parsed.children, statisticsLeaf)
  return (value) => {
    const struct = value as Record<string, unknown>
    const members = writeFields(struct)
    const hasStatistics = isGiven(struct['stats']) || !isGiven(struct['stats_parsed'])
    if (writeStatistics !== undefined && !hasStatistics) {
      const statistics = objectOf(
        writeStatistics(struct['stats_parsed'] as Record<string, unknown>),
      )
      members.push(`"stats":${JSON.stringify(statistics)}`)
    }
    // An unpartitioned table may have no column for the values.
    if (column.element.name === 'add' && !isGiven(struct['partitionValues'])) {
      members.push('"partitionValues":{}')
    }
    return objectOf(members)
  }
}

function objectOf(members: readonly string[]): string {
  return `{${members.join(',')}}`
}

/** Writes the fields of a struct that have values. */
function fieldsWriter(
  fields: readonly SchemaTree[],
  leaf?: (element: SchemaElement) => Writer,
): (struct: Record<string, unknown>) => string[] {
  const writers = fields.map((field) => [field.element.name, valueWriter(field, leaf)] as const)
  return (struct) =>
    writers.flatMap(([name, write]) => {
      const value = struct[name]
      const json = isGiven(value) ? write(value) : undefined
      return json === undefined ? [] : `${JSON.stringify(name)}:${json}`
    })
}

function valueWriter(field: SchemaTree, leaf?: (element: SchemaElement) => Writer): Writer {
  const { children, element } = field
  if (children.length === 0) return leaf?.(element) ?? plainJson
  // Maps come as objects and lists as arrays; those of actions hold texts.
  if (element.converted_type === 'MAP' || element.converted_type === 'LIST') return plainJson
  if (element.logical_type?.type === 'MAP' || element.logical_type?.type === 'LIST')
    return plainJson
  const write = fieldsWriter(children, leaf)
  return (value) => {
    const members = write(value as Record<string, unknown>)
    // A vector that some writers give to every file, empty.
    const isEmptyVector = element.name === 'deletionVector' && members.length === 0
    return isEmptyVector ? undefined : objectOf(members)
  }
}

/** Any value as JSON, longs by their digits. */
function plainJson(value: unknown): string | undefined {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Uint8Array) return undefined
  if (Array.isArray(value)) return `[${value.map((one) => plainJson(one) ?? 'null').join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(
      ([name, one]) => `${JSON.stringify(name)}:${plainJson(one) ?? 'null'}`,
    )
    return objectOf(members)
  }
  return JSON.stringify(value)
}

/** Statistics have values of all types of columns, each in its form (PROTOCOL.md, "Per-file Statistics"). */
function statisticsLeaf(element: SchemaElement): Writer {
  const { converted_type: converted, logical_type: logical, type } = element
  if (converted === 'DATE' || logical?.type === 'DATE') return (value) => dateJson(Number(value))
  if (converted === 'DECIMAL' || logical?.type === 'DECIMAL') {
    const { scale = 0 } = logical?.type === 'DECIMAL' ? logical : element
    return (value) => decimalText(unscaled(value), scale)
  }
  const unit = type === 'INT96' ? 1n : microsPer(element)
  if (unit !== undefined) {
    const isUtc = logical?.type === 'TIMESTAMP' ? logical.isAdjustedToUTC : true
    return (value) => instantJson(microsOf(BigInt(value as bigint | number), unit), isUtc)
  }
  if (type === 'FLOAT' || type === 'DOUBLE') return (value) => doubleJson(value as number)
  return plainJson
}

/** How many microseconds a time counts by; below zero how many of it make one. Undefined where it is no time. */
function microsPer({ converted_type: converted, logical_type: logical }: SchemaElement) {
  if (logical?.type === 'TIMESTAMP') {
    return { MILLIS: 1000n, MICROS: 1n, NANOS: -1000n }[logical.unit]
  }
  if (converted === 'TIMESTAMP_MILLIS') return 1000n
  return converted === 'TIMESTAMP_MICROS' ? 1n : undefined
}

function microsOf(value: bigint, unit: bigint): bigint {
  return unit > 0n ? value * unit : value / -unit
}

const dayMs = 86_400_000

function dateJson(days: number): string {
  return JSON.stringify(new Date(days * dayMs).toISOString().replace(/T.*$/, ''))
}

function instantJson(micros: bigint, isUtc: boolean): string {
  const below = ((micros % 1000n) + 1000n) % 1000n
  const [seconds] = new Date(Number((micros - below) / 1000n)).toISOString().split('Z')
  const rest = below === 0n ? '' : String(below).padStart(3, '0')
  return JSON.stringify(`${seconds}${rest}${isUtc ? 'Z' : ''}`)
}

/** A decimal is a whole number, as an integer or as bytes in two's complement, of units of its last digit. */
function unscaled(value: unknown): bigint {
  if (!(value instanceof Uint8Array)) return BigInt(value as number | bigint)
  const digits = value.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  return BigInt.asIntN(value.length * 8, digits)
}

function decimalText(value: bigint, scale: number): string {
  if (scale === 0) return String(value)
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0')
  return `${value < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

function doubleJson(value: number): string {
  return Number.isFinite(value) ? JSON.stringify(value) : JSON.stringify(String(value))
}
