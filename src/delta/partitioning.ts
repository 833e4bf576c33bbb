/** How a table is partitioned. */
import { type ColumnMappingMode, physicalName } from './column-mapping.ts'
import type { StructField, StructType } from './data-types.ts'
import { type Fault, faultsMax } from './faults.ts'
import { listed, quoted } from './text.ts'

/** A partition column: its name, the name in `partitionValues`, and its type where the schema has it. */
export interface PartitionColumn {
  name: string
  physicalName: string
  type: string | undefined
}

/** The partition columns of a table in their order, with their physical names under `mode`. */
export function partitionColumnsOf(
  schema: StructType | undefined,
  names: readonly string[],
  mode: ColumnMappingMode,
): PartitionColumn[] {
  const fields = new Map(schema?.fields.map((field) => [field.name, field]))
  return names.map((name) => {
    const field = fields.get(name)
    return {
      name,
      physicalName: field ? physicalName(field, mode) : name,
      type: typeof field?.type === 'string' ? field.type : undefined,
    }
  })
}

const unfitTypes: ReadonlySet<string> = new Set(['variant', 'void'])

/**
 * What is wrong with the partition columns of a schema: they must be among its top-level columns, each once,
 * of a type that has an order, and leave at least one other column. Pointers begin at the list.
 */
export function checkPartitionColumns(schema: StructType, names: readonly string[]): Fault[] {
  const fields = new Map(schema.fields.map((field) => [field.name, field]))
  const seen = new Set<string>()
  const faults: Fault[] = []
  for (const [index, name] of names.entries()) {
    const message = partitionColumnFault(name, { fields, isRepeated: seen.has(name) })
    seen.add(name)
    if (message !== undefined) faults.push({ pointer: `/${index}`, message })
    if (faults.length === faultsMax) return faults
  }
  if (faults.length === 0 && names.length > 0 && seen.size === schema.fields.length) {
    const message = `all columns are partition columns (${listed(names)}); leave at least one to be stored in files`
    faults.push({ pointer: '', message })
  }
  return faults
}

function partitionColumnFault(
  name: string,
  { fields, isRepeated }: { fields: ReadonlyMap<string, StructField>; isRepeated: boolean },
): string | undefined {
  if (isRepeated) return `partition column ${quoted(name)} is listed twice`
  const field = fields.get(name)
  if (field === undefined) {
    return `partition column ${quoted(name)} is not a column of the schema, which has ${listed([...fields.keys()])}`
  }
  const type = typeof field.type === 'string' ? field.type : field.type.type
  if (typeof field.type === 'string' && !unfitTypes.has(type)) return undefined
  return `partition column ${quoted(name)} is of type ${type}; only types with an order can partition a table`
}
