/** Reads a table's schema: Delta's struct type (PROTOCOL.md, "Schema Serialization Format"). */
import {
  type DataType,
  parseDecimal,
  primitiveTypes,
  type StructField,
  type StructType,
} from './data-types.ts'
import { type Fault, faultsMax } from './faults.ts'
import { nestsTooDeep } from './json.ts'
import { isStorableText, listed, quoted } from './text.ts'

/** How deep types may nest in a schema. */
export const schemaDepthMax = 100
/** How many fields a schema may have in all, nested ones included. */
export const schemaFieldsMax = 10_000

export interface SchemaOptions {
  /** With column mapping on, names are free of the limits that Parquet sets. */
  columnMapping?: boolean
}

/** The schema, with absent field metadata filled in as empty; or everything that is wrong with it. */
export type SchemaResult =
  | { schema: StructType; faults?: undefined }
  | { schema?: undefined; faults: Fault[] }

type JsonObject = Record<string, unknown>

interface Reader {
  faults: Fault[]
  fieldCount: number
  columnMapping: boolean
}

interface Place {
  pointer: string
  depth: number
}

const members = {
  struct: ['type', 'fields'],
  array: ['type', 'elementType', 'containsNull'],
  map: ['type', 'keyType', 'valueType', 'valueContainsNull'],
  field: ['name', 'type', 'nullable', 'metadata'],
} as const

/** What stands for a type that could not be read; a result that holds one has faults. */
const unreadable: DataType = 'void'
const parquetSpecial = /[ ,;{}()\n\t=]/
const types = `${[...primitiveTypes].join(', ')}, decimal(p,s) with 1 ≤ p ≤ 38 and 0 ≤ s ≤ p`

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function report(reader: Reader, pointer: string, message: string): void {
  if (reader.faults.length < faultsMax) reader.faults.push({ pointer, message })
}

/** A member that Spark does not know makes it fail to read the whole table, so none is let in. */
function checkMembers(
  reader: Reader,
  value: JsonObject,
  at: { known: readonly string[]; pointer: string },
) {
  const unknown = Object.keys(value).filter((name) => !at.known.includes(name))
  if (unknown.length === 0) return
  const message = `has members that readers refuse: ${listed(unknown)}; allowed are ${listed(at.known)}`
  report(reader, at.pointer, message)
}

function readFlag(reader: Reader, value: unknown, pointer: string): boolean {
  if (typeof value !== 'boolean') report(reader, pointer, 'must be true or false')
  return value === true
}

function readPrimitive(reader: Reader, name: string, pointer: string): DataType {
  if (primitiveTypes.has(name) || parseDecimal(name)) return name
  report(reader, pointer, `${quoted(name)} is not a type of Delta; allowed are ${types}`)
  return unreadable
}

function readMetadata(reader: Reader, value: unknown, pointer: string): Record<string, unknown> {
  if (value === undefined || isObject(value)) return value ?? {}
  report(reader, pointer, 'must be an object, or absent')
  return {}
}

function readName(reader: Reader, value: unknown, pointer: string): string {
  const fault = nameFault(value, reader.columnMapping)
  if (fault !== undefined) report(reader, pointer, fault)
  return typeof value === 'string' ? value : ''
}

function nameFault(name: unknown, columnMapping: boolean): string | undefined {
  if (typeof name !== 'string') return 'must be a string: the name of the column'
  if (name === '') return 'must not be empty: a column needs a name'
  if (!isStorableText(name)) return 'must not hold a NUL character or an unpaired surrogate'
  if (columnMapping || !parquetSpecial.test(name)) return undefined
  return `${quoted(name)} holds a space or one of ,;{}()= or a tab or line feed, which Parquet refuses; rename the column or set delta.columnMapping.mode to name`
}

function readField(reader: Reader, value: unknown, place: Place): StructField {
  const { pointer, depth } = place
  if (!isObject(value)) {
    report(reader, pointer, 'must be an object with name, type, nullable and metadata')
    return { name: '', type: unreadable, nullable: true, metadata: {} }
  }
  checkMembers(reader, value, { known: members.field, pointer })
  return {
    name: readName(reader, value['name'], `${pointer}/name`),
    type: readType(reader, value['type'], { pointer: `${pointer}/type`, depth: depth + 1 }),
    nullable: readFlag(reader, value['nullable'], `${pointer}/nullable`),
    metadata: readMetadata(reader, value['metadata'], `${pointer}/metadata`),
  }
}

function checkUniqueNames(reader: Reader, fields: StructField[], pointer: string): void {
  const first = new Map<string, string>()
  for (const [index, { name }] of fields.entries()) {
    const folded = name.toLowerCase()
    const other = first.get(folded)
    if (other === undefined) {
      first.set(folded, name)
    } else if (name !== '') {
      const where = `${pointer}/${index}/name`
      report(
        reader,
        where,
        `${quoted(name)} repeats ${quoted(other)}; names are unique regardless of case`,
      )
    }
  }
}

function readStruct(reader: Reader, value: JsonObject, { pointer, depth }: Place): DataType {
  checkMembers(reader, value, { known: members.struct, pointer })
  const sources = value['fields']
  if (!Array.isArray(sources)) {
    report(reader, `${pointer}/fields`, 'must be an array of fields')
    return unreadable
  }
  const isFirstTooMany = reader.fieldCount <= schemaFieldsMax
  reader.fieldCount += sources.length
  if (reader.fieldCount > schemaFieldsMax) {
    const message = `brings the schema to more than ${schemaFieldsMax} fields, nested ones included`
    if (isFirstTooMany) report(reader, `${pointer}/fields`, message)
    return unreadable
  }
  const fields = sources.map((source, index) =>
    readField(reader, source, { pointer: `${pointer}/fields/${index}`, depth }),
  )
  checkUniqueNames(reader, fields, `${pointer}/fields`)
  return { type: 'struct', fields }
}

function readArray(reader: Reader, value: JsonObject, { pointer, depth }: Place): DataType {
  checkMembers(reader, value, { known: members.array, pointer })
  const element = { pointer: `${pointer}/elementType`, depth: depth + 1 }
  return {
    type: 'array',
    elementType: readType(reader, value['elementType'], element),
    containsNull: readFlag(reader, value['containsNull'], `${pointer}/containsNull`),
  }
}

function readMap(reader: Reader, value: JsonObject, { pointer, depth }: Place): DataType {
  checkMembers(reader, value, { known: members.map, pointer })
  const inner = (part: string): Place => ({ pointer: pointer + part, depth: depth + 1 })
  return {
    type: 'map',
    keyType: readType(reader, value['keyType'], inner('/keyType')),
    valueType: readType(reader, value['valueType'], inner('/valueType')),
    valueContainsNull: readFlag(reader, value['valueContainsNull'], `${pointer}/valueContainsNull`),
  }
}

function readType(reader: Reader, value: unknown, place: Place): DataType {
  const { pointer, depth } = place
  if (typeof value === 'string') return readPrimitive(reader, value, pointer)
  if (depth > schemaDepthMax) {
    report(reader, pointer, `nests deeper than ${schemaDepthMax} types`)
    return unreadable
  }
  if (isObject(value)) {
    if (value['type'] === 'struct') return readStruct(reader, value, place)
    if (value['type'] === 'array') return readArray(reader, value, place)
    if (value['type'] === 'map') return readMap(reader, value, place)
  }
  const message = `must be the name of a type or an object whose type is struct, array or map; names are ${types}`
  report(reader, pointer, message)
  return unreadable
}

/** Reads a schema from a JSON value. All faults are told, up to 100. */
export function parseSchema(value: unknown, options: SchemaOptions = {}): SchemaResult {
  if (!isObject(value) || value['type'] !== 'struct') {
    const message = 'must be an object with "type": "struct" and an array of fields'
    return { faults: [{ pointer: '', message }] }
  }
  const reader: Reader = {
    faults: [],
    fieldCount: 0,
    columnMapping: options.columnMapping === true,
  }
  const schema = readStruct(reader, value, { pointer: '', depth: 1 })
  if (reader.faults.length > 0 || typeof schema === 'string' || schema.type !== 'struct') {
    return { faults: reader.faults }
  }
  return { schema }
}

/** Reads a schema from JSON text, as a metaData action holds it in `schemaString`. */
export function parseSchemaText(text: string, options: SchemaOptions = {}): SchemaResult {
  // A struct takes three containers: itself, its array of fields, and the field around the next one.
  if (nestsTooDeep(text, 3 * schemaDepthMax)) {
    return { faults: [{ pointer: '', message: `nests deeper than ${schemaDepthMax} types` }] }
  }
  try {
    return parseSchema(JSON.parse(text), options)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { faults: [{ pointer: '', message: `is not JSON: ${reason}` }] }
  }
}
