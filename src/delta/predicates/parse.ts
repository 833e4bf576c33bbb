/** Reads the operations of a predicate. */
import type { PredicateColumn } from './columns.ts'
import {
  allOf,
  always,
  anyOf,
  type ColumnTest,
  type Condition,
  comparison,
  type Literal,
  membership,
  nullTest,
} from './conditions.ts'
import {
  childPlace,
  childrenOf,
  type Node,
  openNode,
  type Place,
  type PredicateReader,
  report,
} from './nodes.ts'
import { checkFamilies, type Operand, readColumn, readOperand } from './operands.ts'
import { type Comparison, exactly, exchanged, mayCompare, negated } from './possibilities.ts'

const literalTrue: Literal = { text: 'true', value: exactly(1) }

function columnCondition(column: PredicateColumn, test: ColumnTest): Condition {
  return { kind: 'column', column, tests: [test] }
}

function compareWithLiteral(op: Comparison, operand: Operand, literal: Literal): Condition {
  return operand.kind === 'column'
    ? columnCondition(operand.column, comparison(op, literal))
    : { kind: 'constant', isTrue: mayCompare(op, operand.literal.value, literal.value) }
}

function compareOperands(op: Comparison, left: Operand, right: Operand): Condition {
  if (right.kind === 'literal') return compareWithLiteral(op, left, right.literal)
  if (left.kind === 'literal') return compareWithLiteral(exchanged[op], right, left.literal)
  return { kind: 'pair', op, left: left.column, right: right.column }
}

function openChildren(reader: PredicateReader, { place }: Node, children: readonly unknown[]) {
  return children.map((child, index) => openNode(reader, child, childPlace(place, index)))
}

function readComparison(reader: PredicateReader, node: Node, op: Comparison): Condition {
  const children = childrenOf(reader, node, { least: 2, most: 2, of: 'columns and literals' })
  const [left, right] = openChildren(reader, node, children).map((child) =>
    readOperand(reader, child),
  )
  if (!left || !right || !checkFamilies(reader, left, right)) return always
  return compareOperands(node.place.isNegated ? negated[op] : op, left, right)
}

/** A member that must be of one kind at its place. */
function expectOp(reader: PredicateReader, node: Node | undefined, op: 'column' | 'literal') {
  if (node?.op === op) return node
  if (node) report(reader, `${node.place.pointer}/op`, `must be ${op} here`)
  return undefined
}

function readMembership(reader: PredicateReader, node: Node): Condition {
  const children = childrenOf(reader, node, { least: 2, of: 'a column and its literals' })
  const [first, ...rest] = openChildren(reader, node, children)
  const column = readOperand(reader, expectOp(reader, first, 'column'))
  const literals = rest.flatMap((child) => {
    const operand = readOperand(reader, expectOp(reader, child, 'literal'))
    const isFit = operand?.kind === 'literal' && column && checkFamilies(reader, column, operand)
    return isFit ? [operand.literal] : []
  })
  if (column?.kind !== 'column') return always
  return columnCondition(column.column, membership(literals, node.place.isNegated))
}

function readNullTest(reader: PredicateReader, node: Node): Condition {
  const children = childrenOf(reader, node, { least: 1, most: 1, of: 'a column' })
  const [child] = openChildren(reader, node, children)
  const named = expectOp(reader, child, 'column')
  const column = named && readColumn(reader, named)
  return column ? columnCondition(column, nullTest(node.place.isNegated)) : always
}

/** A boolean column or literal that is a predicate by itself. */
function readFlag(reader: PredicateReader, node: Node): Condition {
  const operand = readOperand(reader, node)
  if (!operand) return always
  const { pointer, isNegated } = node.place
  if (operand.valueType.family === 'boolean') {
    return compareWithLiteral(isNegated ? 'notEqual' : 'equal', operand, literalTrue)
  }
  report(reader, pointer, `must be a predicate, or be boolean; it is ${operand.typeName}`)
  return always
}

function readGroup(reader: PredicateReader, node: Node): Condition {
  const children = childrenOf(reader, node, { least: 2, of: 'predicates' })
  const conditions = children.map((child, index) =>
    readPredicate(reader, child, childPlace(node.place, index)),
  )
  return (node.op === 'and') === node.place.isNegated ? anyOf(conditions) : allOf(conditions)
}

function readNot(reader: PredicateReader, node: Node): Condition {
  const [child] = childrenOf(reader, node, { least: 1, most: 1, of: 'a predicate' })
  if (child === undefined) return always
  const place = childPlace(node.place, 0)
  return readPredicate(reader, child, { ...place, isNegated: !place.isNegated })
}

/** Reads a predicate. With faults, the condition means nothing. */
export function readPredicate(reader: PredicateReader, value: unknown, place: Place): Condition {
  const node = openNode(reader, value, place)
  if (!node) return always
  switch (node.op) {
    case 'and':
    case 'or':
      return readGroup(reader, node)
    case 'not':
      return readNot(reader, node)
    case 'isNull':
      return readNullTest(reader, node)
    case 'in':
      return readMembership(reader, node)
    case 'column':
    case 'literal':
      return readFlag(reader, node)
    default:
      return readComparison(reader, node, node.op)
  }
}
