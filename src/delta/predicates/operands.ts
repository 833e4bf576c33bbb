/** The columns and literals that a predicate compares. */
import { faultsBelow } from '../faults.ts'
import { quoted } from '../text.ts'
import type { PredicateColumn } from './columns.ts'
import type { Literal } from './conditions.ts'
import { readLiteral } from './literals.ts'
import { type Node, type PredicateReader, report } from './nodes.ts'
import { namedType, valueTypeNames } from './type-names.ts'
import type { LiteralType } from './value-type.ts'

interface TypedOperand {
  typeName: string
  valueType: LiteralType
  pointer: string
}

interface ColumnOperand extends TypedOperand {
  kind: 'column'
  column: PredicateColumn
}

interface LiteralOperand extends TypedOperand {
  kind: 'literal'
  literal: Literal
}

/** A column or literal whose values have an order. */
export type Operand = ColumnOperand | LiteralOperand

/** Finds the column that a node names. */
export function readColumn(reader: PredicateReader, { members, place }: Node) {
  const { name, valueType } = members
  const column = typeof name === 'string' ? reader.findColumn(name) : 'must name a column'
  if (typeof column === 'string') {
    report(reader, `${place.pointer}/name`, column)
    return undefined
  }
  const fault = valueType === undefined ? undefined : declaredTypeFault(column, valueType)
  if (fault !== undefined) report(reader, `${place.pointer}/valueType`, fault)
  reader.columns.add(column)
  return column
}

function typeNameOf({ type }: PredicateColumn): string {
  return typeof type === 'string' ? type : type.type
}

/** Values are compared as they are, so a column may be called another type only where that changes none. */
function declaredTypeFault(column: PredicateColumn, name: unknown): string | undefined {
  const declared = typeof name === 'string' ? namedType(name) : undefined
  if (!declared) return `must be one of ${valueTypeNames}, or be left out`
  const isNarrowed = column.type === 'double' && name === 'float'
  if (declared.family === column.valueType?.family && !isNarrowed) return undefined
  return `column ${quoted(column.name)} is of type ${typeNameOf(column)}, not ${quoted(String(name))}`
}

/** Reads a column that is to be compared. */
function columnOperand(reader: PredicateReader, node: Node): Operand | undefined {
  const column = readColumn(reader, node)
  if (!column) return undefined
  const typeName = typeNameOf(column)
  const { valueType } = column
  const { pointer } = node.place
  if (valueType) return { kind: 'column', column, typeName, valueType, pointer }
  const message = `column ${quoted(column.name)} is of type ${typeName}, which has no order; only isNull can test it`
  report(reader, `${pointer}/name`, message)
  return undefined
}

function literalOperand(reader: PredicateReader, node: Node): Operand | undefined {
  const { pointer } = node.place
  const literal = readLiteral(node.members)
  if ('text' in literal) {
    const { typeName, valueType } = literal
    return { kind: 'literal', literal, typeName, valueType, pointer }
  }
  for (const fault of faultsBelow(pointer, [literal])) report(reader, fault.pointer, fault.message)
  return undefined
}

/** Reads a column or literal; a fault where the node is neither. */
export function readOperand(reader: PredicateReader, node: Node | undefined): Operand | undefined {
  if (node?.op === 'column') return columnOperand(reader, node)
  if (node?.op === 'literal') return literalOperand(reader, node)
  if (node) report(reader, `${node.place.pointer}/op`, 'must be column or literal here')
  return undefined
}

/** Whether two operands compare; a fault where they do not. */
export function checkFamilies(reader: PredicateReader, left: Operand, right: Operand): boolean {
  if (left.valueType.family === right.valueType.family) return true
  const [at, other] =
    left.kind === 'literal' && right.kind === 'column' ? [left, right] : [right, left]
  const message = `${at.typeName} does not compare with ${other.typeName}; give both sides one kind of type`
  report(reader, `${at.pointer}/valueType`, message)
  return false
}
