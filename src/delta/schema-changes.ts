/** How a schema may change while the files that were written under it stay. */
import { type ColumnMappingMode, columnId, physicalName } from './column-mapping.ts'
import { defaultKey, identityKeys } from './column-properties.ts'
import type { DataType, StructField, StructType } from './data-types.ts'
import { faultsMax } from './faults.ts'
import { quoted } from './text.ts'
import {
  isAlwaysReadable,
  isSameType,
  isWidening,
  readTypeChanges,
  typeChangesKey,
} from './type-widening.ts'

/** A schema with the column mapping of its table; longs in the metadata of columns are exact. */
export interface MappedSchema {
  schema: StructType
  mode: ColumnMappingMode
}

/** What else decides about a change. */
export interface ChangeRules {
  /** Whether type widening is turned on. */
  widensTypes: boolean
  /** The highest column id before, under column mapping. */
  maxColumnId: number
}

interface Comparison {
  before: ColumnMappingMode
  after: ColumnMappingMode
  rules: ChangeRules
  faults: string[]
}

/** A column before and after, and a place in its arrays and maps. */
interface Place {
  path: string
  column: StructField
  fieldPath: readonly string[]
}

const remedy = 'while files remain; remove every file in the same commit'

function nameOf({ path, fieldPath }: Place): string {
  return quoted([path, ...fieldPath].join('.'))
}

function primitiveFault(from: string, to: string, place: Place, rules: ChangeRules) {
  if (isSameType(from, to) || isAlwaysReadable(from, to)) return undefined
  const change = `the type of column ${nameOf(place)} cannot change from ${from} to ${to}`
  if (!isWidening(from, to)) return `${change} ${remedy}`
  if (!rules.widensTypes) {
    return `${change} unless delta.enableTypeWidening is true, with the table feature typeWidening; turn it on`
  }
  const { column, fieldPath } = place
  const where = fieldPath.length === 0 ? undefined : fieldPath.join('.')
  const told = (readTypeChanges(column.metadata) ?? []).findLast((one) => one.fieldPath === where)
  const isTold = told !== undefined && isSameType(told.toType, to)
  return isTold
    ? undefined
    : `${change} unless ${typeChangesKey} of the column tells so; add it there`
}

interface Part {
  name: string
  type: DataType
  nullable: boolean
}

/** What an array or map is made of. */
function partsOf(type: DataType): Part[] {
  if (typeof type === 'string' || type.type === 'struct') return []
  if (type.type === 'array') {
    return [{ name: 'element', type: type.elementType, nullable: type.containsNull }]
  }
  return [
    { name: 'key', type: type.keyType, nullable: false },
    { name: 'value', type: type.valueType, nullable: type.valueContainsNull },
  ]
}

function kindOf(type: DataType): string {
  return typeof type === 'string' ? type : type.type
}

interface TypePair {
  from: DataType
  to: DataType
}

function compareTypes({ from, to }: TypePair, place: Place, comparison: Comparison): void {
  const { faults, rules } = comparison
  if (typeof from === 'string' && typeof to === 'string') {
    const fault = primitiveFault(from, to, place, rules)
    if (fault !== undefined) faults.push(fault)
  } else if (kindOf(from) === kindOf(to)) {
    compareInside({ from, to }, place, comparison)
  } else if (from !== 'void') {
    const change = `cannot change from ${kindOf(from)} to ${kindOf(to)}`
    faults.push(`the type of column ${nameOf(place)} ${change} ${remedy}`)
  }
}

/** Compares structs, arrays or maps. */
function compareInside({ from, to }: TypePair, place: Place, comparison: Comparison): void {
  const outer = [place.path, ...place.fieldPath].join('.')
  compareFields({ old: fieldsOf(from), now: fieldsOf(to), outer }, comparison)
  const parts = partsOf(to)
  for (const [at, old] of partsOf(from).entries()) {
    const now = parts[at]
    if (now === undefined) continue
    const inner = { ...place, fieldPath: [...place.fieldPath, now.name] }
    if (old.nullable && !now.nullable) comparison.faults.push(notNullFault(inner))
    compareTypes({ from: old.type, to: now.type }, inner, comparison)
  }
}

function fieldsOf(type: DataType): readonly StructField[] {
  return typeof type !== 'string' && type.type === 'struct' ? type.fields : []
}

function notNullFault(place: Place): string {
  return `column ${nameOf(place)} cannot forbid nulls ${remedy}`
}

/** Files know a column by its name; by its physical name as mapping begins; and its log by its id from then on. */
function findFormer(
  column: StructField,
  fields: readonly StructField[],
  { before, after }: Comparison,
): StructField | undefined {
  if (before === 'none') {
    const name = physicalName(column, after)
    return fields.find((field) => field.name === name)
  }
  const id = columnId(column)
  return fields.find((field) => columnId(field) === id)
}

function newColumnFaults(
  column: StructField,
  { fields, path }: { fields: readonly StructField[]; path: string },
  { before, after, rules }: Comparison,
): string[] {
  const name = quoted(path)
  const faults: string[] = []
  if (!column.nullable)
    faults.push(
      `new column ${name} cannot forbid nulls, for the files there are do not hold it; make it nullable`,
    )
  if (column.metadata[defaultKey] !== undefined) {
    faults.push(`new column ${name} cannot come with ${defaultKey}; set it in a later commit`)
  }
  const twin = fields.find((field) =>
    before === 'none'
      ? after !== 'none' && field.name === column.name
      : physicalName(field, before) === physicalName(column, after),
  )
  if (twin !== undefined) {
    faults.push(
      before === 'none'
        ? `column ${name} must have its name as delta.columnMapping.physicalName, for the files there are know it by that`
        : `column ${name} has the delta.columnMapping.physicalName of another before it; give it one of its own`,
    )
  }
  const id = columnId(column)
  if (before !== 'none' && id !== undefined && id <= rules.maxColumnId) {
    faults.push(
      `new column ${name} must have a delta.columnMapping.id above ${rules.maxColumnId}; ids are never used again`,
    )
  }
  return faults
}

function identityChangeFault(old: StructField, now: StructField): string | undefined {
  const { start, step, highWaterMark, allowExplicitInsert } = identityKeys
  if (now.metadata[start] === undefined) return undefined
  if (old.metadata[start] === undefined) return 'cannot become an identity column'
  const changed = [start, step, allowExplicitInsert].find(
    (key) => old.metadata[key] !== now.metadata[key],
  )
  if (changed !== undefined) return `cannot change ${changed}`
  const [was, is] = [old.metadata[highWaterMark], now.metadata[highWaterMark]] as (
    | number
    | bigint
    | undefined
  )[]
  if (was === undefined) return undefined
  const isRising = Number(now.metadata[step]) > 0
  if (is !== undefined && (isRising ? is >= was : is <= was)) return undefined
  return `cannot take ${highWaterMark} back from ${was} to ${is ?? 'none'}; values would come twice`
}

function keepsTypeChanges(old: StructField, now: StructField): boolean {
  const [before, after] = [readTypeChanges(old.metadata) ?? [], readTypeChanges(now.metadata) ?? []]
  return before.every((change, at) => JSON.stringify(change) === JSON.stringify(after[at]))
}

interface ColumnPair {
  old: StructField
  now: StructField
  path: string
}

function compareColumn({ old, now, path }: ColumnPair, comparison: Comparison): void {
  const { faults, before, after } = comparison
  const place = { path, column: now, fieldPath: [] }
  if (old.nullable && !now.nullable) faults.push(notNullFault(place))
  const [was, is] = [physicalName(old, before), physicalName(now, after)]
  if (was !== is) {
    faults.push(
      `column ${nameOf(place)} must keep the delta.columnMapping.physicalName ${quoted(was)}, not ${quoted(is)}`,
    )
  }
  const fault = identityChangeFault(old, now)
  if (fault !== undefined) faults.push(`column ${nameOf(place)} ${fault}`)
  if (!keepsTypeChanges(old, now)) {
    faults.push(
      `column ${nameOf(place)} must keep its ${typeChangesKey}, for files of the older types remain`,
    )
  }
  compareTypes({ from: old.type, to: now.type }, place, comparison)
}

interface FieldPair {
  old: readonly StructField[]
  now: readonly StructField[]
  outer: string
}

function compareFields({ old, now, outer }: FieldPair, comparison: Comparison): void {
  for (const column of now) {
    if (comparison.faults.length >= faultsMax) return
    const path = outer === '' ? column.name : `${outer}.${column.name}`
    const former = findFormer(column, old, comparison)
    if (former !== undefined) compareColumn({ old: former, now: column, path }, comparison)
    else comparison.faults.push(...newColumnFaults(column, { fields: old, path }, comparison))
  }
}

/**
 * What of a change of schema would make readers misread the files that were written before, or fail on them.
 * Columns may come, go and, under column mapping, be renamed.
 */
export function schemaChangeFaults(
  before: MappedSchema,
  after: MappedSchema,
  rules: ChangeRules,
): string[] {
  const comparison = { before: before.mode, after: after.mode, rules, faults: [] as string[] }
  const [old, now] = [before.schema.fields, after.schema.fields]
  compareFields({ old, now, outer: '' }, comparison)
  return comparison.faults.slice(0, faultsMax)
}
