/** The statistics of a file (PROTOCOL.md, "Per-file Statistics"). */
import type { Long } from './actions.ts'
import { actionBody, isIntegerSource, memberSources, nestsTooDeep, parseExact } from './json.ts'
import { jsonAmbiguity } from './json-ambiguity.ts'
import { longMax, subtractLongs } from './longs.ts'

/** The number of records in a file, as its statistics tell it. */
export interface RecordStatistics {
  /** Undefined where the statistics do not tell. */
  numRecords: Long | undefined
}

function isCount(value: unknown): value is Long {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0
  return typeof value === 'bigint' && value >= 0n && value <= longMax
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** Plain parsing serves unless the count is beyond what a double holds. */
function exactCount(text: string, count: unknown): unknown {
  if (typeof count !== 'number' || Number.isSafeInteger(count) || nestsTooDeep(text)) return count
  return (parseExact(text) as Record<string, unknown>)['numRecords']
}

function countIn(
  text: string,
  statistics: Readonly<Record<string, unknown>>,
): RecordStatistics | undefined {
  const given = statistics['numRecords'] ?? undefined
  if (given === undefined) return { numRecords: undefined }
  const numRecords = exactCount(text, given)
  return isCount(numRecords) ? { numRecords } : undefined
}

/** Reads `stats`; undefined unless it is the JSON text of an object whose `numRecords`, if any, is a count. */
export function parseStatistics(text: string): RecordStatistics | undefined {
  const statistics = parseObject(text)
  return statistics && countIn(text, statistics)
}

const plainCountFirst = /^\s*\{\s*"numRecords"\s*:\s*\d+\s*[,}]/

/** Some readers take `10.0` or `1e1` for a long, some do not. */
function hasPlainCount(text: string): boolean {
  if (plainCountFirst.test(text)) return true
  const source = memberSources(text).get('numRecords') ?? 'null'
  return source === 'null' || isIntegerSource(source)
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && !Array.isArray(value)
}

function shapeFault(statistics: Record<string, unknown>): string | undefined {
  const isFlag = typeof (statistics['tightBounds'] ?? true) === 'boolean'
  if (!isFlag) return 'must have true or false as tightBounds; mend it or leave it out'
  const unfit = ['minValues', 'maxValues', 'nullCount'].find(
    (name) => statistics[name] !== undefined && !isObject(statistics[name]),
  )
  return unfit && `must have an object as ${unfit}; mend it or leave it out`
}

/** The statistics of a file; or what is wrong with them, to be read behind their name. */
export type JudgedStatistics =
  | { statistics: RecordStatistics; fault?: undefined }
  | { statistics?: undefined; fault: string }

/** Reads `stats` as a writer gives it: every reader must read the same in it. */
export function judgeStatistics(text: string): JudgedStatistics {
  const members = parseObject(text)
  if (members === undefined) {
    return { fault: 'must be the JSON text of an object; mend it or leave it out' }
  }
  const statistics = countIn(text, members)
  if (statistics === undefined || !hasPlainCount(text)) {
    const fault =
      'must have a non-negative whole number in plain digits as numRecords; mend it or leave it out'
    return { fault }
  }
  const fault = jsonAmbiguity(text, members) ?? shapeFault(members)
  return fault === undefined ? { statistics } : { fault }
}

const firstCount = /^\{"numRecords":(\d{1,15})[,}]/

/** The number of records in a data file, those that a deletion vector removes included; undefined where not told. */
export function physicalRecordCount({ stats }: { stats?: string | null }): Long | undefined {
  if (!stats) return undefined
  // Most writers put the count first, and the rest need not be parsed again to learn it.
  const first = firstCount.exec(stats)?.[1]
  return first === undefined ? parseStatistics(stats)?.numRecords : Number(first)
}

/** `physicalRecordCount` of an add by its log line. */
export function recordCountOfLine(add: string | null | undefined): Long | undefined {
  return add ? physicalRecordCount(JSON.parse(actionBody(add))) : undefined
}

/**
 * The number of records that a live file contributes: those in the file less those that its deletion vector
 * removes. Undefined where the statistics do not tell or cannot be read.
 */
export function recordCount(add: {
  stats?: string | null
  deletionVector?: { cardinality: Long } | null
}): Long | undefined {
  const numRecords = physicalRecordCount(add)
  if (numRecords === undefined || !add.deletionVector) return numRecords
  const rest = subtractLongs(numRecords, add.deletionVector.cardinality)
  return rest < 0 ? undefined : rest
}
