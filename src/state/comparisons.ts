import { parseExact } from '../delta/json.ts'
import type { Comparison } from './operations.ts'
import type { EntryRow } from './rows.ts'

/** Whether a comparison holds of an entry; undefined where there is none. Of such a one only `notEqual` holds, but its version is 0. */
export function holds(comparison: Comparison, entry: EntryRow | undefined): boolean {
  const { op } = comparison
  switch (comparison.target) {
    case 'version':
      return ordered(op, compareNumbers(entry?.version ?? 0, comparison.version))
    case 'exists':
      return ordered(op, compareNumbers(Number(entry !== undefined), Number(comparison.exists)))
    case 'metadata': {
      if (entry === undefined || entry.metadata === null) return op === 'notEqual'
      const found = at(parseExact(entry.metadata), comparison.path)
      return ordered(op, compareJson(found, parseExact(comparison.json)))
    }
    case 'value':
      return ordered(op, compareValues(comparison, entry))
  }
}

/** Below 0, 0, above 0; `other` where they are not equal and have no order. */
type Order = number | 'other'

function ordered(op: Comparison['op'], order: Order): boolean {
  switch (op) {
    case 'equal':
      return order === 0
    case 'notEqual':
      return order !== 0
    case 'greater':
      return order !== 'other' && order > 0
    case 'less':
      return order !== 'other' && order < 0
  }
}

function compareValues(
  comparison: Comparison & { target: 'value' },
  entry: EntryRow | undefined,
): Order {
  if (entry === undefined) return 'other'
  const { json, bytes } = entry.value
  if ('bytes' in comparison) {
    return bytes === null ? 'other' : Buffer.compare(bytes, comparison.bytes)
  }
  return json === null ? 'other' : compareJson(parseExact(json), parseExact(comparison.json))
}

function compareNumbers(one: number | bigint, other: number | bigint): number {
  if (one === other) return 0
  return one < other ? -1 : one > other ? 1 : 0
}

/** Numbers by their size, texts by their code units; all else is equal or not. */
function compareJson(one: unknown, other: unknown): Order {
  if (isNumber(one) && isNumber(other)) return compareNumbers(one, other)
  if (typeof one === 'string' && typeof other === 'string') {
    if (one === other) return 0
    return one < other ? -1 : 1
  }
  return isEqual(one, other) ? 0 : 'other'
}

function isEqual(one: unknown, other: unknown): boolean {
  if (isNumber(one) && isNumber(other)) return compareNumbers(one, other) === 0
  if (typeof one !== 'object' || typeof other !== 'object') return one === other
  if (one === null || other === null) return one === other
  if (Array.isArray(one) !== Array.isArray(other)) return false
  const members = Object.entries(one)
  return (
    members.length === Object.keys(other).length &&
    members.every(
      ([name, value]) =>
        Object.hasOwn(other, name) && isEqual(value, (other as Record<string, unknown>)[name]),
    )
  )
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (found, name) =>
      typeof found === 'object' && found !== null && Object.hasOwn(found, name)
        ? (found as Record<string, unknown>)[name]
        : undefined,
    value,
  )
}
