/** What a predicate asks of single columns, in a form that a database can ask too. */
import type { PredicateColumn } from './columns.ts'
import type { ColumnTest, Condition } from './conditions.ts'

/**
 * A test that every row must pass to satisfy the predicate. `values` are literals as they were written, one
 * but for `in`, and none for the tests for null.
 */
export interface ColumnBound {
  column: PredicateColumn
  op: Exclude<ColumnTest['op'], 'notEqual' | 'notIn'>
  values: readonly string[]
}

function boundOf(column: PredicateColumn, { op, literals }: ColumnTest): ColumnBound {
  return op === 'notEqual' || op === 'notIn'
    ? { column, op: 'isNotNull', values: [] }
    : { column, op, values: literals.map(({ text }) => text) }
}

/** Bounds that hold together for every row that satisfies a condition. */
export function boundsOf(condition: Condition): ColumnBound[] {
  if (condition.kind === 'all') return condition.conditions.flatMap(boundsOf)
  if (condition.kind !== 'column') return []
  return condition.tests.map((test) => boundOf(condition.column, test))
}
