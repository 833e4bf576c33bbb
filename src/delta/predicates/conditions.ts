/** Conditions: predicates in which every `not` has been carried down to what it denies. */
import type { PredicateColumn } from './columns.ts'
import {
  type Comparison,
  isPoint,
  mayCompare,
  type Possibility,
  type Range,
  type Value,
} from './possibilities.ts'

/** A literal as it was written, and the one value that it names. */
export interface Literal {
  text: string
  value: Possibility
}

/** What a condition asks of one column. */
export interface ColumnTest {
  op: Comparison | 'in' | 'notIn' | 'isNull' | 'isNotNull'
  literals: readonly Literal[]
  /** Whether it may be true of a row that holds this. */
  mayHold: (possibility: Possibility) => boolean
}

/** A predicate in which `not` stands nowhere. */
export type Condition =
  | { kind: 'all'; conditions: readonly Condition[] }
  | { kind: 'any'; conditions: readonly Condition[] }
  | { kind: 'column'; column: PredicateColumn; tests: readonly ColumnTest[] }
  | { kind: 'pair'; op: Comparison; left: PredicateColumn; right: PredicateColumn }
  | { kind: 'constant'; isTrue: boolean }

/** What a predicate that cannot be read stands for. */
export const always: Condition = { kind: 'constant', isTrue: true }

/** A comparison of a column, on the left, with a literal. */
export function comparison(op: Comparison, literal: Literal): ColumnTest {
  return {
    op,
    literals: [literal],
    mayHold: (possibility) => mayCompare(op, possibility, literal.value),
  }
}

/** Whether a column is null, or, negated, is not. */
export function nullTest(isNegated: boolean): ColumnTest {
  return isNegated
    ? { op: 'isNotNull', literals: [], mayHold: ({ kind }) => kind !== 'null' }
    : { op: 'isNull', literals: [], mayHold: ({ kind }) => kind === 'null' }
}

/** The place of the first value that is not below `low`; values must be sorted. */
function firstFrom(values: readonly Value[], low: Value): number {
  let [from, to] = [0, values.length]
  while (from < to) {
    const middle = (from + to) >>> 1
    const value = values[middle]
    if (value !== undefined && value < low) from = middle + 1
    else to = middle
  }
  return from
}

function mayBeAmong(values: readonly Value[], { low, high, isOpen }: Range): boolean {
  const first = values[low === undefined ? 0 : firstFrom(values, low)]
  if (first === undefined) return false
  return high === undefined || (isOpen ? first < high : first <= high)
}

/** Whether a column equals one of the literals, or, negated, is not null and equals none. */
export function membership(literals: readonly Literal[], isNegated: boolean): ColumnTest {
  const hasNaN = literals.some(({ value }) => value.kind === 'nan')
  const values = literals
    .flatMap(({ value }) => (value.kind === 'range' && value.low !== undefined ? [value.low] : []))
    .sort((a, b) => (a < b ? -1 : b < a ? 1 : 0))
  const mayBeIn = (possibility: Possibility): boolean => {
    if (possibility.kind === 'range') return mayBeAmong(values, possibility)
    return possibility.kind === 'nan' && hasNaN
  }
  const mayBeOut = (possibility: Possibility): boolean => {
    if (possibility.kind === 'range') return !(isPoint(possibility) && mayBeIn(possibility))
    return possibility.kind === 'nan' && !hasNaN
  }
  return isNegated
    ? { op: 'notIn', literals, mayHold: mayBeOut }
    : { op: 'in', literals, mayHold: mayBeIn }
}

/** Whether a condition needs statistics; those that do not are looked at first. */
export function needsStatistics(condition: Condition): boolean {
  if (condition.kind === 'column') return !condition.column.isPartition
  if (condition.kind === 'pair') return !(condition.left.isPartition && condition.right.isPartition)
  return condition.kind !== 'constant' && condition.conditions.some(needsStatistics)
}

function partitionsFirst(conditions: readonly Condition[]): Condition[] {
  return conditions.toSorted((a, b) => Number(needsStatistics(a)) - Number(needsStatistics(b)))
}

/** What is asked of one column in one conjunction is asked of the same value. */
function mergeColumns(conditions: readonly Condition[]): Condition[] {
  const testsOf = new Map<PredicateColumn, ColumnTest[]>()
  const rest = conditions.filter((condition) => {
    if (condition.kind !== 'column') return true
    const tests = testsOf.get(condition.column) ?? []
    tests.push(...condition.tests)
    testsOf.set(condition.column, tests)
    return false
  })
  const merged = [...testsOf].map(([column, tests]) => ({ kind: 'column' as const, column, tests }))
  return [...merged, ...rest]
}

/** True when all conditions are. */
export function allOf(conditions: readonly Condition[]): Condition {
  const flat = conditions.flatMap((one) => (one.kind === 'all' ? one.conditions : [one]))
  return { kind: 'all', conditions: partitionsFirst(mergeColumns(flat)) }
}

/** True when one of the conditions is. */
export function anyOf(conditions: readonly Condition[]): Condition {
  const flat = conditions.flatMap((one) => (one.kind === 'any' ? one.conditions : [one]))
  return { kind: 'any', conditions: partitionsFirst(flat) }
}

/** What a column may hold in the file at hand; undefined where that is left out of the question. */
export type PossibilitiesOf = (column: PredicateColumn) => readonly Possibility[] | undefined

/** Whether a condition may be true of some row of a file. */
export function mayBeTrue(condition: Condition, possibilitiesOf: PossibilitiesOf): boolean {
  switch (condition.kind) {
    case 'constant':
      return condition.isTrue
    case 'all':
      return condition.conditions.every((one) => mayBeTrue(one, possibilitiesOf))
    case 'any':
      return condition.conditions.some((one) => mayBeTrue(one, possibilitiesOf))
    case 'column': {
      const possibilities = possibilitiesOf(condition.column)
      return (
        possibilities?.some((one) => condition.tests.every((test) => test.mayHold(one))) ?? true
      )
    }
    case 'pair': {
      const [left, right] = [possibilitiesOf(condition.left), possibilitiesOf(condition.right)]
      if (!left || !right) return true
      return left.some((one) => right.some((other) => mayCompare(condition.op, one, other)))
    }
  }
}
