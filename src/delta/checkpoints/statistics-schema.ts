/** The types of what files tell of their columns, as a checkpoint keeps it (PROTOCOL.md, "Checkpoint Schema"). */
import { type ColumnMappingMode, type Configuration, physicalName } from '../column-mapping.ts'
import { type DataType, parseDecimal, type StructField, type StructType } from '../data-types.ts'
import { splitName } from '../predicates/columns.ts'

/** What of a table decides about the types of its statistics. */
export interface StatisticsTable {
  /** By their names in the schema. */
  partitionColumns: readonly string[]
  configuration: Configuration
  columnMapping: ColumnMappingMode
  hasDeletionVectors: boolean
}

/** So many columns have statistics, unless the table says otherwise, as in Spark. */
const columnsDefault = 32
/** A table may say that all have. Each costs three columns in the checkpoint. */
const columnsMax = 1000

const boundedTypes: ReadonlySet<string> = new Set([
  'byte',
  'short',
  'integer',
  'long',
  'float',
  'double',
  'date',
  'timestamp',
  'timestamp_ntz',
  'string',
])

/** A field of a checkpoint: under the name that files know, and never required. */
export function optional(name: string, type: DataType): StructField {
  return { name, type, nullable: true, metadata: {} }
}

/** Whether statistics hold a least and a greatest value of a type. */
function isBounded(type: DataType): boolean {
  return typeof type === 'string' && (boundedTypes.has(type) || parseDecimal(type) !== undefined)
}

/** A column that has statistics: the names on the way to it, and its type. */
interface Leaf {
  path: readonly string[]
  physicalPath: readonly string[]
  type: DataType
}

function* leavesOf(struct: StructType, mode: ColumnMappingMode): Generator<Leaf> {
  for (const field of struct.fields) {
    const physical = physicalName(field, mode)
    // An object of this program cannot hold the one, a Parquet file cannot hold the other.
    if (physical === '__proto__' || field.type === 'void') continue
    if (typeof field.type === 'string' || field.type.type !== 'struct') {
      yield { path: [field.name], physicalPath: [physical], type: field.type }
      continue
    }
    for (const { path, physicalPath, type } of leavesOf(field.type, mode)) {
      yield { path: [field.name, ...path], physicalPath: [physical, ...physicalPath], type }
    }
  }
}

/** The paths in `delta.dataSkippingStatsColumns`: names and commas, in backticks where they hold any. */
function listedPaths(text: string): string[][] {
  const names = text.match(/(?:`(?:[^`]|``)*`|[^`,])+/g) ?? []
  return names.map((name) => splitName(name.trim()) ?? [])
}

function isWithin(path: readonly string[], outer: readonly string[]): boolean {
  return (
    outer.length > 0 &&
    outer.every((name, index) => name.toLowerCase() === path[index]?.toLowerCase())
  )
}

/** The columns of which files have statistics, as Spark chooses them. */
function statisticsColumns(schema: StructType, table: StatisticsTable): Leaf[] {
  const { configuration, partitionColumns, columnMapping } = table
  const fields = schema.fields.filter(({ name }) => !partitionColumns.includes(name))
  const leaves = [...leavesOf({ type: 'struct', fields }, columnMapping)]
  const listed = configuration['delta.dataSkippingStatsColumns']
  if (listed !== undefined) {
    const outer = listedPaths(listed)
    const chosen = leaves.filter(({ path }) => outer.some((one) => isWithin(path, one)))
    return chosen.slice(0, columnsMax)
  }
  const count = Number(configuration['delta.dataSkippingNumIndexedCols'] ?? columnsDefault)
  return leaves.slice(0, count >= 0 ? Math.min(count, columnsMax) : columnsMax)
}

/** A struct of these leaves, each with the type that `typeOf` gives it. */
function structOf(leaves: readonly Leaf[], typeOf: (type: DataType) => DataType): StructType {
  const groups = Map.groupBy(leaves, ({ physicalPath }) => physicalPath[0] ?? '')
  const fields = [...groups].map(([name, group]) => {
    const [first] = group
    if (first?.physicalPath.length === 1) return optional(name, typeOf(first.type))
    const inner = group.map((leaf) => ({ ...leaf, physicalPath: leaf.physicalPath.slice(1) }))
    return optional(name, structOf(inner, typeOf))
  })
  return { type: 'struct', fields }
}

/** The type of `stats_parsed`. */
export function statisticsSchema(schema: StructType, table: StatisticsTable): StructType {
  const columns = statisticsColumns(schema, table)
  const bounded = structOf(
    columns.filter(({ type }) => isBounded(type)),
    (type) => type,
  )
  const counted = structOf(columns, () => 'long')
  const parts = [
    optional('minValues', bounded),
    optional('maxValues', bounded),
    optional('nullCount', counted),
  ]
  return {
    type: 'struct',
    fields: [
      optional('numRecords', 'long'),
      // A Parquet file has no group without fields.
      ...parts.filter(({ type }) => (type as StructType).fields.length > 0),
      ...(table.hasDeletionVectors ? [optional('tightBounds', 'boolean')] : []),
    ],
  }
}

/** The type of `partitionValues_parsed`; undefined for a table without partition columns. */
export function partitionSchema(
  schema: StructType,
  { partitionColumns, columnMapping }: StatisticsTable,
): StructType | undefined {
  const fields = partitionColumns.flatMap((name) => {
    const field = schema.fields.find((one) => one.name === name)
    return field ? optional(physicalName(field, columnMapping), field.type) : []
  })
  return fields.length === 0 ? undefined : { type: 'struct', fields }
}
