/** Claims: random predicates, each with a slow and obvious way to say whether a row satisfies it. */
import type { PredicateNode } from '../../../src/delta/predicates/shape.ts'
import type { ModelColumn, ModelTable, Row } from './files.ts'
import type { ModelValue, Pick } from './model.ts'
import { column, node } from './support.ts'

/** SQL's three truth values; null is unknown. */
type Truth = boolean | null

export interface Claim {
  node: PredicateNode
  holds: (row: Row) => Truth
}

/** A column or literal of a comparison, with the value that it has in a row. */
interface Side {
  node: PredicateNode
  valueIn: (row: Row) => ModelValue
}

const comparisons = {
  equal: (sign: number) => sign === 0,
  lessThan: (sign: number) => sign < 0,
  lessThanOrEqual: (sign: number) => sign <= 0,
  greaterThan: (sign: number) => sign > 0,
  greaterThanOrEqual: (sign: number) => sign >= 0,
} as const

function columnSide(one: ModelColumn, pick: Pick): Side {
  return { node: column(pick([one.name, one.name.toUpperCase()])), valueIn: (row) => row.get(one) }
}

function literalSide({ type }: ModelColumn, table: ModelTable, pick: Pick): Side {
  const near = table.columns.filter((other) => other.type.kind === type.kind)
  const source = pick(near)
  const value = pick(source.type.pool)
  return { node: { op: 'literal', ...source.type.literal(value, pick) }, valueIn: () => value }
}

function comparisonClaim(table: ModelTable, pick: Pick): Claim {
  const one = pick(table.columns)
  const op = pick(Object.keys(comparisons) as (keyof typeof comparisons)[])
  const others = table.columns.filter((other) => other.type.kind === one.type.kind)
  const other = pick(['literal', 'literal', 'column'])
  const sides = [
    columnSide(one, pick),
    other === 'literal' ? literalSide(one, table, pick) : columnSide(pick(others), pick),
  ]
  const [left, right] = pick([sides, sides.toReversed()])
  if (!left || !right) throw new Error('a comparison has two sides')
  const holds = (row: Row): Truth => {
    const [a, b] = [left.valueIn(row), right.valueIn(row)]
    return a === null || b === null ? null : comparisons[op](one.type.compare(a, b))
  }
  return { node: node(op, left.node, right.node), holds }
}

function membershipClaim(table: ModelTable, pick: Pick): Claim {
  const one = pick(table.columns)
  const subject = columnSide(one, pick)
  const literals = Array.from({ length: pick([1, 2, 5]) }, () => literalSide(one, table, pick))
  const holds = (row: Row): Truth => {
    const value = subject.valueIn(row)
    if (value === null) return null
    return literals.some((literal) => one.type.compare(value, literal.valueIn(row)) === 0)
  }
  return { node: node('in', subject.node, ...literals.map((literal) => literal.node)), holds }
}

function nullClaim(table: ModelTable, pick: Pick): Claim {
  const struct = pick([undefined, ...table.structs])
  if (struct) {
    const test = node('isNull', column(struct.name))
    return { node: test, holds: (row) => row.get(struct) === null }
  }
  const subject = columnSide(pick(table.columns), pick)
  return { node: node('isNull', subject.node), holds: (row) => subject.valueIn(row) === null }
}

function flagClaim(table: ModelTable, pick: Pick): Claim {
  const flags = table.columns.filter(({ type }) => type.kind === 'boolean')
  if (flags.length === 0) return comparisonClaim(table, pick)
  const subject = columnSide(pick(flags), pick)
  return { node: subject.node, holds: (row) => subject.valueIn(row) as Truth }
}

function everyTrue(truths: readonly Truth[]): Truth {
  if (truths.includes(false)) return false
  return truths.includes(null) ? null : true
}

function opposite(truth: Truth): Truth {
  return truth === null ? null : !truth
}

/** A random claim about the rows of a table. */
export function randomClaim(table: ModelTable, depth: number, pick: Pick): Claim {
  const inner = () => randomClaim(table, depth - 1, pick)
  const shape = depth > 0 ? pick(['leaf', 'not', 'and', 'or']) : 'leaf'
  if (shape === 'leaf') {
    const leaves = [comparisonClaim, comparisonClaim, membershipClaim, nullClaim, flagClaim]
    return pick(leaves)(table, pick)
  }
  if (shape === 'not') {
    const claim = inner()
    return { node: node('not', claim.node), holds: (row) => opposite(claim.holds(row)) }
  }
  const claims = Array.from({ length: pick([2, 3]) }, inner)
  const nodes = claims.map((claim) => claim.node)
  if (shape === 'and') {
    return {
      node: node('and', ...nodes),
      holds: (row) => everyTrue(claims.map((one) => one.holds(row))),
    }
  }
  // One is true unless all are false: De Morgan, in three values.
  const holds = (row: Row) => opposite(everyTrue(claims.map((one) => opposite(one.holds(row)))))
  return { node: node('or', ...nodes), holds }
}
