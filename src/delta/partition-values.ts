/** Values of partition columns as text (PROTOCOL.md, "Partition Value Serialization"). */
import { parseDecimal } from './data-types.ts'

/** Whether a text can be read as a value of a type. */
export type ValueReader = (text: string) => boolean

/** How the values of a type are written, with its reader. */
export interface ValueFormat {
  example: string
  reads: ValueReader
}

/** No number of any type needs more; the time that a pattern takes can grow with the square of the length. */
const numberLengthMax = 1000
const integer = /^[+-]?\d{1,40}$/
const float = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?)$/i
const decimalText = /^[+-]?0*(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,9}))?$/i
const date = /^([+-]?\d{4,6})-(\d{1,2})-(\d{1,2})$/
const timestamp =
  /^([+-]?\d{4,6}-\d{1,2}-\d{1,2})[ T](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})?$/

const monthDays = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const

function isLeapYear(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
}

function isDate(text: string): boolean {
  const match = date.exec(text)
  if (!match) return false
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const days = month === 2 && !isLeapYear(year) ? 28 : (monthDays[month - 1] ?? 0)
  return day >= 1 && day <= days
}

function timestampReader(takesZone: boolean): ValueReader {
  return (text) => {
    const match = timestamp.exec(text)
    if (!match) return false
    const [, day = '', hour, minute, second, zone] = match
    if (zone !== undefined && !takesZone) return false
    return isDate(day) && Number(hour) <= 23 && Number(minute) <= 59 && Number(second) <= 59
  }
}

function integerFormat(bits: bigint): ValueFormat {
  const limit = 2n ** (bits - 1n)
  return {
    example: `a whole number from ${-limit} to ${limit - 1n}`,
    reads: (text) => {
      if (!integer.test(text)) return false
      const value = BigInt(text.replace('+', ''))
      return value >= -limit && value < limit
    },
  }
}

/** Digits before and after the point, without idle zeros, once the exponent is applied. */
function decimalDigits(text: string): { whole: number; fraction: number } | undefined {
  const match = text.length <= numberLengthMax ? decimalText.exec(text) : null
  if (!match || !/\d/.test(text)) return undefined
  const [, whole = '', fraction = '', exponent = '0'] = match
  const significant = (whole + fraction).replace(/0+$/, '')
  const first = significant.search(/[1-9]/)
  if (first === -1) return { whole: 0, fraction: 0 }
  const point = whole.length + Number(exponent)
  return { whole: Math.max(point - first, 0), fraction: Math.max(significant.length - point, 0) }
}

function decimalFormat(type: string): ValueFormat | undefined {
  const decimal = parseDecimal(type)
  if (!decimal) return undefined
  const { precision, scale } = decimal
  return {
    example: `a number with at most ${precision - scale} digits before the point and ${scale} after`,
    reads: (text) => {
      const digits = decimalDigits(text)
      return digits !== undefined && digits.whole <= precision - scale && digits.fraction <= scale
    },
  }
}

const floatFormat: ValueFormat = {
  example: 'a number such as 1.5',
  reads: (text) => text.length <= numberLengthMax && float.test(text),
}

const formats: ReadonlyMap<string, ValueFormat> = new Map([
  ['byte', integerFormat(8n)],
  ['short', integerFormat(16n)],
  ['integer', integerFormat(32n)],
  ['long', integerFormat(64n)],
  ['float', floatFormat],
  ['double', floatFormat],
  ['boolean', { example: 'true or false', reads: (text) => text === 'true' || text === 'false' }],
  ['date', { example: 'a date such as 2024-01-31', reads: isDate }],
  [
    'timestamp',
    {
      example: 'a time such as 2024-01-31T12:00:00.000000Z or 2024-01-31 12:00:00',
      reads: timestampReader(true),
    },
  ],
  [
    'timestamp_ntz',
    { example: 'a time such as 2024-01-31 12:00:00', reads: timestampReader(false) },
  ],
])

/**
 * How the values of a type are written; undefined where any text will do (string, binary, and types that the
 * service does not know). Null and the empty text, which stands for null, are no business of it.
 */
export function valueFormat(type: string | undefined): ValueFormat | undefined {
  if (type === undefined) return undefined
  return formats.get(type) ?? decimalFormat(type)
}
