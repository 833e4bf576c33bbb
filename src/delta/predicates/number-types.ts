/** Integers, decimals and floating point numbers in literals, partition values and statistics. */
import type { Long } from '../actions.ts'
import { parseDecimal } from '../data-types.ts'
import { exactInteger } from '../json.ts'
import { valueFormat } from '../partition-values.ts'
import { exactly, type Possibility, type Range, range } from './possibilities.ts'
import type { LiteralType, ValueType } from './value-type.ts'

const decimalText = /^([+-]?)0*(\d{0,99})(?:\.(\d{0,99}))?(?:e([+-]?\d{1,3}))?$/i

/** Delta's decimals have at most so many digits, before and after the point together. */
const digitsMax = 38
/** Digits of a decimal that survive a writer who passes it through a double. */
const digitsTrusted = 15

/** Whether a value of JSON that was read exactly is an integer. */
export function isLong(value: unknown): value is Long {
  return Number.isSafeInteger(value) || typeof value === 'bigint'
}

/** Any of the integer types, by its name in a schema. */
export function integerType(name: string): ValueType {
  const format = valueFormat(name)
  const read = (text: string): Possibility | undefined =>
    format?.reads(text) ? exactly(exactInteger(text.replace('+', ''))) : undefined
  return {
    family: 'integer',
    example: format?.example ?? name,
    literal: read,
    partition: read,
    bound: (written) => (isLong(written) ? range(written, written) : undefined),
  }
}

/** The value of a text times 10^38; undefined when it is no number, or finer than that. */
function scaledDecimal(text: string): bigint | undefined {
  const match = decimalText.exec(text)
  if (!match || !/\d/.test(text)) return undefined
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  const digits = whole + fraction
  const shift = digitsMax - fraction.length + Number(exponent)
  const kept = shift < 0 ? digits.slice(0, shift) : digits + '0'.repeat(shift)
  if (shift < 0 && /[1-9]/.test(digits.slice(shift))) return undefined
  const scaled = BigInt(kept)
  return sign === '-' ? -scaled : scaled
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value
}

/** Some writers pass decimals through a double on their way into statistics, which rounds the long ones. */
function decimalBound(written: unknown, scale: number): Range | undefined {
  if (!['number', 'bigint', 'string'].includes(typeof written)) return undefined
  const value = scaledDecimal(String(written))
  if (value === undefined) return undefined
  const unit = 10n ** BigInt(digitsMax - scale)
  const isExact = magnitude(value) < unit * 10n ** BigInt(digitsTrusted) && value % unit === 0n
  const slack = isExact ? 0n : magnitude(value) / 10n ** BigInt(digitsTrusted - 1) + 1n
  return range(value - slack, value + slack)
}

const decimalTypes = new Map<string, ValueType>()

/** `decimal(p,s)`, the same object whenever asked for the same; undefined for anything else. */
export function decimalType(name: string): ValueType | undefined {
  const decimal = parseDecimal(name)
  if (!decimal) return undefined
  const { precision, scale } = decimal
  const plainName = `decimal(${precision},${scale})`
  const type = decimalTypes.get(plainName) ?? makeDecimalType(plainName, scale)
  if (type) decimalTypes.set(plainName, type)
  return type
}

function makeDecimalType(name: string, scale: number): ValueType | undefined {
  const format = valueFormat(name)
  if (!format) return undefined
  const read = (text: string): Possibility | undefined => {
    const value = format.reads(text) ? scaledDecimal(text) : undefined
    return value === undefined ? undefined : exactly(value)
  }
  return {
    family: 'decimal',
    example: format.example,
    literal: read,
    partition: read,
    bound: (written) => decimalBound(written, scale),
  }
}

/** A decimal literal that does not say its precision and scale. */
export const plainDecimalType: LiteralType = {
  family: 'decimal',
  example: `a number with at most ${digitsMax} digits before the point and ${digitsMax} after`,
  literal: (text) => {
    const value = scaledDecimal(text)
    return value === undefined || magnitude(value) >= 10n ** BigInt(2 * digitsMax)
      ? undefined
      : exactly(value)
  },
}

const floatFormat = valueFormat('double')

function floatValue(text: string): number | undefined {
  if (!floatFormat?.reads(text)) return undefined
  if (/inf/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  return Number(text)
}

function floatBound(written: unknown): number | undefined {
  const value = typeof written === 'string' ? floatValue(written) : Number(written)
  const isNumber = ['number', 'bigint', 'string'].includes(typeof written)
  return isNumber && !Number.isNaN(value) ? value : undefined
}

/** A type of floating point numbers; `meant` tells what one that was written may stand for. */
function floatingType(meant: (value: number) => Range, round: (value: number) => number) {
  const type: ValueType = {
    family: 'floating',
    example: floatFormat?.example ?? '',
    literal: (text) => {
      const value = floatValue(text)
      return value === undefined ? undefined : exactly(round(value))
    },
    partition: (text) => {
      const value = floatValue(text)
      if (value === undefined) return undefined
      return Number.isNaN(value) ? exactly(value) : meant(value)
    },
    bound: (written) => {
      const value = floatBound(written)
      return value === undefined ? undefined : meant(value)
    },
  }
  return type
}

const same = (value: number) => value

/** `float`: the one nearest to what is written. */
export const floatType = floatingType((value) => {
  const single = Math.fround(value)
  return range(single, single)
}, Math.fround)

/** `double` in a column that was never anything else. */
export const doubleType = floatingType((value) => range(value, value), same)

/** A double that was a float when some files were written: `1.1` in those stands for the float nearest to it. */
export const widenedDoubleType = floatingType((value) => {
  const single = Math.fround(value)
  return range(Math.min(value, single), Math.max(value, single))
}, same)
