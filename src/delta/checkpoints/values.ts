/**
 * Values of a checkpoint, as a Parquet writer takes them: longs, decimals without their point and microseconds as
 * bigints, days as numbers, maps as pairs, structs as objects that have every field. Undefined stands for null.
 */
import { epochDays, parseTime } from '../calendar.ts'
import { type DataType, parseDecimal, type StructType } from '../data-types.ts'
import { longMax, longMin } from '../longs.ts'
import { valueFormat } from '../partition-values.ts'

/** Reads a value as it stands in a log; undefined for null. */
export type ReadValue = (written: unknown) => unknown

const utf8 = new TextEncoder()
const plainDecimal = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d{1,3}))?$/i
const integerMax: Readonly<Record<string, number>> = {
  byte: 2 ** 7 - 1,
  short: 2 ** 15 - 1,
  integer: 2 ** 31 - 1,
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Reads a whole number that may have come as its text; undefined when it is none, or too large for a long. */
function toLong(written: unknown): bigint | undefined {
  const isWhole =
    typeof written === 'bigint' ||
    Number.isSafeInteger(written) ||
    (typeof written === 'string' && /^-?\d{1,19}$/.test(written))
  if (!isWhole) return undefined
  const value = BigInt(written as bigint | number | string)
  return value >= longMin && value <= longMax ? value : undefined
}

function toInteger(written: unknown, max: number): number | undefined {
  const value = Number(toLong(written))
  return value >= -max - 1 && value <= max ? value : undefined
}

function toDouble(written: unknown): number | undefined {
  if (typeof written !== 'number' && typeof written !== 'bigint' && typeof written !== 'string') {
    return undefined
  }
  const value = written === '' ? Number.NaN : Number(written)
  return Number.isNaN(value) ? undefined : value
}

/** The value of a decimal times 10^scale; undefined when that is no whole number, or has too many digits. */
function toUnscaled(
  written: unknown,
  { precision, scale }: { precision: number; scale: number },
): bigint | undefined {
  const match = plainDecimal.exec(String(written))
  if (match === null || typeof written === 'boolean') return undefined
  const [, sign, digits = '', fraction = '', exponent = '0'] = match
  const shift = scale - fraction.length + Number(exponent)
  const all = `${digits}${fraction}${'0'.repeat(Math.max(0, shift))}`
  const [kept, cut] = shift < 0 ? [all.slice(0, shift), all.slice(shift)] : [all, '']
  const significant = kept.replace(/^0+/, '')
  if (/[1-9]/.test(cut) || significant.length > precision) return undefined
  const value = BigInt(significant === '' ? 0 : significant)
  return sign === '-' ? -value : value
}

function toMicros(written: unknown, takesOffset: boolean): bigint | undefined {
  const time = typeof written === 'string' ? parseTime(written) : undefined
  return time === undefined || (time.zone === 'offset' && !takesOffset)
    ? undefined
    : BigInt(time.micros)
}

/** Reads a value of a primitive type as JSON has it; undefined also for what cannot be read exactly. */
function primitiveReader(type: string): ReadValue {
  const decimal = parseDecimal(type)
  if (decimal !== undefined) return (written) => toUnscaled(written, decimal)
  const max = integerMax[type]
  if (max !== undefined) return (written) => toInteger(written, max)
  const readers: Readonly<Record<string, ReadValue>> = {
    long: toLong,
    float: toDouble,
    double: toDouble,
    boolean: (written) => (typeof written === 'boolean' ? written : undefined),
    string: (written) => (typeof written === 'string' ? written : undefined),
    date: (written) => (typeof written === 'string' ? epochDays(written) : undefined),
    // Without a zone nobody knows which instant it was.
    timestamp: (written) =>
      typeof written === 'string' && parseTime(written)?.zone === 'none'
        ? undefined
        : toMicros(written, true),
    // Some writers end these with a Z that means nothing.
    timestamp_ntz: (written) => toMicros(written, false),
  }
  return readers[type] ?? (() => undefined)
}

/** Reads `stats`, once parsed by `parseStatisticsExactly`, into a struct of the type of `stats_parsed`. */
export function statisticsStructReader({ fields }: StructType): ReadValue {
  const readers = fields.map(({ name, type }): [string, ReadValue] => [
    name,
    typeof type === 'string' ? primitiveReader(type) : statisticsStructReader(type as StructType),
  ])
  return (written) => {
    if (!isObject(written)) return undefined
    const struct: Record<string, unknown> = {}
    for (const [name, read] of readers) {
      struct[name] = Object.hasOwn(written, name) ? read(written[name]) : undefined
    }
    return struct
  }
}

const longNumber = /[\d.]{16}/

/** A number that a double may not hold becomes its text. */
function keepLongNumbers(_key: string, value: unknown, context?: { source?: string }): unknown {
  const isLong = typeof value === 'number' && (context?.source?.length ?? 0) > 15
  return isLong ? context?.source : value
}

/** Parses `stats`; undefined when they are not JSON. */
export function parseStatisticsExactly(stats: unknown): unknown {
  if (typeof stats !== 'string') return undefined
  try {
    return longNumber.test(stats) ? JSON.parse(stats, keepLongNumbers) : JSON.parse(stats)
  } catch {
    return undefined
  }
}

/** Reads a partition value of a type from its text. */
function partitionReader(type: string): ReadValue {
  const format = valueFormat(type)
  const read: ReadValue =
    {
      boolean: (text: unknown) => text === 'true',
      binary: (text: unknown) => utf8.encode(String(text)),
      // Writers that name no zone have mostly meant UTC, and readers take it so.
      timestamp: (text: unknown) => toMicros(text, true),
      double: floatValue,
      float: floatValue,
    }[type] ??
    ((text) => primitiveReader(type)(typeof text === 'string' ? text.replace(/^\+/, '') : text))
  return (text) => {
    if (typeof text !== 'string' || text === '') return undefined
    return format === undefined || format.reads(text) ? read(text) : undefined
  }
}

function floatValue(text: unknown): number {
  const [, sign, infinity] = /^([+-]?)(inf(?:inity)?)?/i.exec(String(text)) ?? []
  if (infinity === undefined) return Number(text)
  return sign === '-' ? -Infinity : Infinity
}

/** Reads `partitionValues` into a struct of the type of `partitionValues_parsed`. */
export function partitionStructReader({ fields }: StructType): ReadValue {
  const readers = fields.map(({ name, type }): [string, ReadValue] => [
    name,
    typeof type === 'string' ? partitionReader(type) : () => undefined,
  ])
  return (written) => {
    if (!isObject(written)) return undefined
    const struct: Record<string, unknown> = {}
    for (const [name, read] of readers) {
      struct[name] = Object.hasOwn(written, name) ? read(written[name]) : undefined
    }
    return struct
  }
}

function unfit(type: DataType, written: unknown): RangeError {
  const name = typeof type === 'string' ? type : type.type
  return new RangeError(`${JSON.stringify(String(written)).slice(0, 100)} is no ${name}`)
}

/** Reads a value of an action. Throws a RangeError when it is not of the type: a checkpoint must not lose it. */
export function actionReader(type: DataType): ReadValue {
  const read = presentReader(type)
  return (written) => {
    if (written === null || written === undefined) return undefined
    const value = read(written)
    if (value === undefined) throw unfit(type, written)
    return value
  }
}

function presentReader(type: DataType): ReadValue {
  if (typeof type === 'string') return primitiveReader(type)
  if (type.type === 'struct') return actionStructReader(type)
  if (type.type === 'map')
    return (written) => (isObject(written) ? Object.entries(written) : undefined)
  const element = actionReader(type.elementType)
  return (written) => (Array.isArray(written) ? written.map(element) : undefined)
}

function actionStructReader({ fields }: StructType): ReadValue {
  const readers = fields.map(({ name, type }): [string, ReadValue] => [name, actionReader(type)])
  return (written) => {
    if (!isObject(written)) return undefined
    const struct: Record<string, unknown> = {}
    for (const [name, read] of readers) struct[name] = read(written[name])
    return struct
  }
}
