/** What the columns of a file may hold, as its partition values and statistics tell it. */
import type { Long } from '../actions.ts'
import { nestsTooDeep, parseExact } from '../json.ts'
import type { PredicateColumn } from './columns.ts'
import { isLong } from './number-types.ts'
import {
  anything,
  anyValue,
  onlyNaN,
  onlyNull,
  type Possibility,
  type Range,
} from './possibilities.ts'
import type { ValueType } from './value-type.ts'

/** `stats` once parsed, with integers exact. Nothing about its members is certain. */
export type Statistics = Readonly<Record<string, unknown>>

/** What is known of a file before it is read. */
export interface FileFacts {
  partitionValues: Readonly<Record<string, string | null>>
  /** As an add has them, JSON text, or as `parseExact` reads that. */
  stats?: string | Statistics | null | undefined
}

/** A column with more values than this is not worth remembering. */
const rememberedMax = 10_000
/** How Hive writes null into paths, from which some writers take the values. */
const hiveNull = '__HIVE_DEFAULT_PARTITION__'

function isObject(value: unknown): value is Statistics {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Tells what a partition column holds in a file. */
export type ReadPartition = (
  column: PredicateColumn,
  values: FileFacts['partitionValues'],
) => readonly Possibility[]

function readText({ valueType }: PredicateColumn, text: string): readonly Possibility[] {
  const value = text === hiveNull ? undefined : valueType?.partition(text)
  return value ? [value] : anything
}

/**
 * Reads partition values, and remembers those of each column, for many files share them. Where readers may
 * differ, or fail, the column may hold anything.
 */
export function partitionReader(): ReadPartition {
  const known = new Map<PredicateColumn, Map<string, readonly Possibility[]>>()
  return (column, values) => {
    const [name = ''] = column.physicalPath
    const text = Object.hasOwn(values, name) ? values[name] : undefined
    if (text === null || text === '') return onlyNull
    if (text === undefined) return anything
    const ofColumn = known.get(column) ?? new Map<string, readonly Possibility[]>()
    known.set(column, ofColumn)
    if (ofColumn.size === rememberedMax) return readText(column, text)
    const found = ofColumn.get(text) ?? readText(column, text)
    ofColumn.set(text, found)
    return found
  }
}

/** Reads statistics; undefined unless they are the JSON text of an object. */
export function readStatistics(stats: FileFacts['stats']): Statistics | undefined {
  if (typeof stats !== 'string') return stats ?? undefined
  if (nestsTooDeep(stats)) return undefined
  try {
    const value = parseExact(stats)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function memberAt(statistics: Statistics, kind: string, path: readonly string[]): unknown {
  let value: unknown = statistics[kind]
  for (const name of path) {
    value = isObject(value) ? value[name] : undefined
  }
  return value
}

function isCount(value: unknown): value is Long {
  return isLong(value) && value >= 0
}

/**
 * What the count of nulls leaves possible. Only none and all are told apart, as it holds no more than that
 * where bounds are wide (PROTOCOL.md, "Per-file Statistics").
 */
function nullness(nullCount: unknown, numRecords: unknown) {
  if (!isCount(nullCount)) return { mayBeNull: true, mayBeValue: true }
  const isAll = isCount(numRecords) && !(nullCount < numRecords) && !(numRecords < nullCount)
  return { mayBeNull: nullCount > 0, mayBeValue: !isAll }
}

/** The values between two bounds; all values where the bounds contradict each other. */
function between(least: unknown, greatest: unknown, type: ValueType): Range {
  const { low } = type.bound(least) ?? anyValue
  const { high, isOpen } = type.bound(greatest) ?? anyValue
  const isContradiction =
    low !== undefined && high !== undefined && (isOpen ? high <= low : high < low)
  return isContradiction ? anyValue : { kind: 'range', low, high, isOpen }
}

/** What a column in the data of a file may hold; anything when there are no statistics. */
export function statisticsPossibilities(
  { physicalPath, valueType }: PredicateColumn,
  statistics: Statistics | undefined,
): readonly Possibility[] {
  if (!statistics) return anything
  const at = (kind: string) => memberAt(statistics, kind, physicalPath)
  const { mayBeNull, mayBeValue } = nullness(at('nullCount'), statistics['numRecords'])
  const values = valueType ? between(at('minValues'), at('maxValues'), valueType) : anyValue
  // Many writers leave NaN out of the bounds, so it is possible beyond them.
  const mayBeNaN = mayBeValue && valueType?.family === 'floating'
  return [
    ...(mayBeNull ? onlyNull : []),
    ...(mayBeNaN ? onlyNaN : []),
    ...(mayBeValue ? [values] : []),
  ]
}
