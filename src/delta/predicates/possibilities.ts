/** What a column may hold in a file, and what may be true of it. */

/**
 * A value in a form that `<` orders as Delta does: longs, dates and times as whole numbers, a bigint where a
 * double is not exact; decimals as bigints of one scale; booleans as 0 and 1; strings and binary as keys.
 */
export type Value = number | bigint | string

/** All values from `low` to `high`, without `high` itself when open; an end that is not known is undefined. */
export interface Range {
  kind: 'range'
  low: Value | undefined
  high: Value | undefined
  isOpen: boolean
}

/** One thing that a column may hold. Ranges are without NaN, which is not a number that `<` can order. */
export type Possibility = { kind: 'null' } | { kind: 'nan' } | Range

/** The comparisons of a predicate, and what `not` makes of `equal`. */
export type Comparison =
  | 'equal'
  | 'notEqual'
  | 'lessThan'
  | 'lessThanOrEqual'
  | 'greaterThan'
  | 'greaterThanOrEqual'

/** The comparison that is true of two values exactly when this one is false; neither is true of null. */
export const negated: Readonly<Record<Comparison, Comparison>> = {
  equal: 'notEqual',
  notEqual: 'equal',
  lessThan: 'greaterThanOrEqual',
  greaterThanOrEqual: 'lessThan',
  greaterThan: 'lessThanOrEqual',
  lessThanOrEqual: 'greaterThan',
}

/** The comparison that says the same with its sides exchanged. */
export const exchanged: Readonly<Record<Comparison, Comparison>> = {
  equal: 'equal',
  notEqual: 'notEqual',
  lessThan: 'greaterThan',
  greaterThanOrEqual: 'lessThanOrEqual',
  greaterThan: 'lessThan',
  lessThanOrEqual: 'greaterThanOrEqual',
}

/** All values between two, both of them included. */
export function range(low: Value | undefined, high: Value | undefined): Range {
  return { kind: 'range', low, high, isOpen: false }
}

/** One value, which may be NaN. */
export function exactly(value: Value): Possibility {
  return Number.isNaN(value) ? nan : range(value, value)
}

const nan: Possibility = { kind: 'nan' }
/** Any value, but neither null nor NaN. */
export const anyValue = range(undefined, undefined)
/** Of a column that is null in every row. */
export const onlyNull: readonly Possibility[] = [{ kind: 'null' }]
/** Of a column that is NaN in every row. */
export const onlyNaN: readonly Possibility[] = [nan]
/** Of a column of which nothing is known. */
export const anything: readonly Possibility[] = [...onlyNull, ...onlyNaN, anyValue]

/** Whether a range is of one value. */
export function isPoint({ low, high }: Range): boolean {
  return low !== undefined && high !== undefined && !(low < high) && !(high < low)
}

function mayBeBelow(left: Range, right: Range): boolean {
  return left.low === undefined || right.high === undefined || left.low < right.high
}

function mayBeAtMost(left: Range, right: Range): boolean {
  if (left.low === undefined || right.high === undefined) return true
  return right.isOpen ? left.low < right.high : left.low <= right.high
}

function mayMeet(left: Range, right: Range): boolean {
  return mayBeAtMost(left, right) && mayBeAtMost(right, left)
}

const ofRanges: Readonly<Record<Comparison, (left: Range, right: Range) => boolean>> = {
  equal: mayMeet,
  notEqual: (left, right) => !(isPoint(left) && isPoint(right) && mayMeet(left, right)),
  lessThan: mayBeBelow,
  lessThanOrEqual: mayBeAtMost,
  greaterThan: (left, right) => mayBeBelow(right, left),
  greaterThanOrEqual: (left, right) => mayBeAtMost(right, left),
}

/** NaN stands above every number (Spark SQL, "NaN Semantics"). */
const ranks = { range: range(0, 0), nan: range(1, 1) }

/** Whether a comparison may be true of some value on the left and some on the right. Never of null. */
export function mayCompare(comparison: Comparison, left: Possibility, right: Possibility): boolean {
  if (left.kind === 'null' || right.kind === 'null') return false
  if (left.kind === 'range' && right.kind === 'range') return ofRanges[comparison](left, right)
  return ofRanges[comparison](ranks[left.kind], ranks[right.kind])
}
