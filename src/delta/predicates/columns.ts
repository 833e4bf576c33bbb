/** The columns that a predicate names. */
import { type ColumnMappingMode, physicalName } from '../column-mapping.ts'
import type { DataType, StructField, StructType } from '../data-types.ts'
import { listed, quoted } from '../text.ts'
import { columnValueType } from './type-names.ts'
import type { ValueType } from './value-type.ts'

/** What of a table a predicate is read against. */
export interface PredicateTable {
  schema: StructType
  partitionColumns: readonly string[]
  columnMapping: ColumnMappingMode
}

/** A column, or a field of a struct. */
export interface PredicateColumn {
  /** The name as predicates write it, each part as the schema has it. */
  name: string
  /** The names in `partitionValues` and statistics, outermost first. */
  physicalPath: readonly string[]
  type: DataType
  isPartition: boolean
  /** Undefined for types without an order, which can only be tested for null. */
  valueType: ValueType | undefined
}

/** Finds a column by its name or path, always the same object, or says why there is none. */
export type FindColumn = (name: string) => PredicateColumn | string

const step = /`((?:[^`]|``)+)`|([^`.]+)/y

/**
 * The names in a dotted path. One that stands in backticks may hold dots, and backticks that are doubled.
 * Undefined when the path is malformed.
 */
export function splitName(name: string): string[] | undefined {
  const names: string[] = []
  step.lastIndex = 0
  for (let match = step.exec(name); match; match = step.exec(name)) {
    const [, escaped, plain = ''] = match
    names.push(escaped?.replaceAll('``', '`') ?? plain)
    const end = step.lastIndex
    if (end === name.length) return names
    if (name[end] !== '.') return undefined
    step.lastIndex = end + 1
  }
  return undefined
}

function inBackticks(name: string): string {
  return /[.`]/.test(name) ? `\`${name.replaceAll('`', '``')}\`` : name
}

/** Fields by name, and by name in small letters where no other has exactly that. */
function indexFields(struct: StructType): Map<string, StructField> {
  const exact = struct.fields.map((field) => [field.name, field] as const)
  return new Map([...exact.map(([name, field]) => [name.toLowerCase(), field] as const), ...exact])
}

function childFault(parent: PredicateColumn, name: string): string {
  const { type } = parent
  if (typeof type === 'object' && type.type === 'struct') {
    const place = parent.name === '' ? 'the table' : `struct ${quoted(parent.name)}`
    const names = type.fields.map((field) => field.name)
    return `${quoted(name)} is not a column of ${place}, which has ${listed(names)}`
  }
  const kind = typeof type === 'string' ? type : type.type
  return `${quoted(parent.name)} is of type ${kind}; only structs have fields to name`
}

function fieldOf(parent: PredicateColumn, field: StructField, table: PredicateTable) {
  const isTopLevel = parent.physicalPath.length === 0
  const name = inBackticks(field.name)
  return {
    name: isTopLevel ? name : `${parent.name}.${name}`,
    physicalPath: [...parent.physicalPath, physicalName(field, table.columnMapping)],
    type: field.type,
    isPartition: isTopLevel && table.partitionColumns.includes(field.name),
    valueType: columnValueType(field),
  }
}

/** Names are alike regardless of case; one that is exactly the same comes first. */
export function columnFinder(table: PredicateTable): FindColumn {
  const indexes = new Map<StructType, Map<string, StructField>>()
  const found = new Map<string, PredicateColumn>()
  const root: PredicateColumn = {
    name: '',
    physicalPath: [],
    type: table.schema,
    isPartition: false,
    valueType: undefined,
  }
  const childOf = (parent: PredicateColumn, name: string): PredicateColumn | undefined => {
    const { type } = parent
    if (typeof type === 'string' || type.type !== 'struct') return undefined
    const index = indexes.get(type) ?? indexFields(type)
    indexes.set(type, index)
    const field = index.get(name) ?? index.get(name.toLowerCase())
    return field && fieldOf(parent, field, table)
  }
  return (name) => {
    const names = splitName(name)
    if (!names) {
      return `${quoted(name)} is no path of names; put dots between names, and a name that holds a dot or backtick in backticks`
    }
    let column = root
    for (const part of names) {
      const child = childOf(column, part)
      if (!child) return childFault(column, part)
      column = child
    }
    const known = found.get(column.name) ?? column
    found.set(column.name, known)
    return known
  }
}
