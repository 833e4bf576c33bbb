/** The statistics of a file (PROTOCOL.md, "Per-file Statistics"). */
import type { Long } from './actions.ts'
import { actionBody, nestsTooDeep, parseExact } from './json.ts'
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

/** Reads `stats`; undefined unless it is the JSON text of an object whose `numRecords`, if any, is a count. */
export function parseStatistics(text: string): RecordStatistics | undefined {
  const statistics = parseObject(text)
  if (statistics === undefined) return undefined
  const given = statistics['numRecords'] ?? undefined
  if (given === undefined) return { numRecords: undefined }
  const numRecords = exactCount(text, given)
  return isCount(numRecords) ? { numRecords } : undefined
}

/** The number of records in a data file, those that a deletion vector removes included; undefined where not told. */
export function physicalRecordCount({ stats }: { stats?: string | null }): Long | undefined {
  return stats ? parseStatistics(stats)?.numRecords : undefined
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
