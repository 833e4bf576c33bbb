/** Delta's data types as they stand in a schema (PROTOCOL.md, "Schema Serialization Format"). */

export interface StructType {
  type: 'struct'
  fields: StructField[]
}

export interface ArrayType {
  type: 'array'
  elementType: DataType
  containsNull: boolean
}

export interface MapType {
  type: 'map'
  keyType: DataType
  valueType: DataType
  valueContainsNull: boolean
}

/** A primitive type is its name, `decimal(p,s)` included. */
export type DataType = string | StructType | ArrayType | MapType

export interface StructField {
  name: string
  type: DataType
  nullable: boolean
  metadata: Record<string, unknown>
}

/**
 * Every primitive type but decimal. `void` is one of them: Spark has long written such columns, and the
 * protocol allows them in any table (PROTOCOL.md, "Void Type").
 */
export const primitiveTypes: ReadonlySet<string> = new Set([
  'string',
  'long',
  'integer',
  'short',
  'byte',
  'float',
  'double',
  'boolean',
  'binary',
  'date',
  'timestamp',
  'timestamp_ntz',
  'variant',
  'void',
])

const decimal = /^decimal\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)$/
const precisionMax = 38

export interface Decimal {
  precision: number
  scale: number
}

/** Precision and scale of a `decimal(p,s)`, 1 ≤ p ≤ 38 and 0 ≤ s ≤ p; undefined for anything else. */
export function parseDecimal(type: string): Decimal | undefined {
  const match = decimal.exec(type)
  if (!match) return undefined
  const [precision, scale] = [Number(match[1]), Number(match[2])]
  const isLegal = precision >= 1 && precision <= precisionMax && scale <= precision
  return isLegal ? { precision, scale } : undefined
}

/** A field somewhere in a schema, with its JSON pointer from the root and its dotted path of names. */
export interface PlacedField {
  field: StructField
  pointer: string
  path: string
}

interface PlacedType {
  type: DataType
  pointer: string
  path: string
}

function partsOf({ type, pointer, path }: PlacedType): PlacedType[] {
  if (typeof type === 'string' || type.type === 'struct') return []
  if (type.type === 'array') {
    return [{ type: type.elementType, pointer: `${pointer}/elementType`, path: `${path}.element` }]
  }
  return [
    { type: type.keyType, pointer: `${pointer}/keyType`, path: `${path}.key` },
    { type: type.valueType, pointer: `${pointer}/valueType`, path: `${path}.value` },
  ]
}

function* fieldsBelow(place: PlacedType): Generator<PlacedField> {
  const { type, pointer, path } = place
  if (typeof type !== 'string' && type.type === 'struct') {
    for (const [index, field] of type.fields.entries()) {
      const found = {
        field,
        pointer: `${pointer}/fields/${index}`,
        path: path === '' ? field.name : `${path}.${field.name}`,
      }
      yield found
      yield* fieldsBelow({ type: field.type, pointer: `${found.pointer}/type`, path: found.path })
    }
  }
  for (const part of partsOf(place)) yield* fieldsBelow(part)
}

/** Every field of a schema, also those inside structs, arrays and maps, outermost first. */
export function allFields(schema: StructType): Generator<PlacedField> {
  return fieldsBelow({ type: schema, pointer: '', path: '' })
}

/** Whether a type is, or holds at any depth, a type for which `test` is true. */
export function containsType(type: DataType, test: (type: DataType) => boolean): boolean {
  if (test(type)) return true
  if (typeof type === 'string') return false
  if (type.type === 'struct') return type.fields.some((field) => containsType(field.type, test))
  if (type.type === 'array') return containsType(type.elementType, test)
  return containsType(type.keyType, test) || containsType(type.valueType, test)
}

function isVoid(type: DataType): boolean {
  return type === 'void'
}

/**
 * Whether no data file can be written under a schema for its void columns: some stand in an array or map, or
 * a struct has no other columns, the table itself included (PROTOCOL.md, "Void Type").
 */
export function hasUnwritableVoid(schema: StructType): boolean {
  return containsType(schema, (type) => {
    if (typeof type === 'string') return false
    if (type.type !== 'struct') return containsType(type, isVoid)
    return type.fields.length > 0 && type.fields.every((field) => isVoid(field.type))
  })
}
