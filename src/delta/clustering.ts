/** The clustering columns of a table (PROTOCOL.md, "Clustered Table"). */
import { type ColumnMappingMode, physicalName } from './column-mapping.ts'
import type { DataType, StructType } from './data-types.ts'
import { jsonAmbiguity } from './json-ambiguity.ts'
import { listed, quoted } from './text.ts'

/** The domain that names the clustering columns of a table. */
export const clusteringDomain = 'delta.clustering'

const unfitTypes: ReadonlySet<string> = new Set(['variant', 'void'])
const form = '{"clusteringColumns":[["column"],["struct","field"]]}'

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

/** A column by its path; the protocol shows names alone, Spark writes paths. */
function toPath(column: unknown): string[] | undefined {
  if (isText(column)) return [column]
  const isPath = Array.isArray(column) && column.length > 0 && column.every(isText)
  return isPath ? column : undefined
}

function typeAt(schema: StructType, path: readonly string[], mode: ColumnMappingMode) {
  let type: DataType | undefined = schema
  for (const name of path) {
    if (type === undefined || typeof type === 'string' || type.type !== 'struct') return undefined
    type = type.fields.find((field) => physicalName(field, mode) === name)?.type
  }
  return type
}

function columnFault(path: readonly string[], type: DataType | undefined): string | undefined {
  if (type === undefined) {
    return `names ${listed(path)}, which is no column of the schema; use the names that files know columns by`
  }
  if (typeof type === 'string' && !unfitTypes.has(type)) return undefined
  const name = typeof type === 'string' ? type : type.type
  return `names ${listed(path)} of type ${name}; only types with an order can cluster a table`
}

function columnsIn(configuration: string): { columns?: unknown[]; fault?: string } {
  try {
    const value = JSON.parse(configuration)
    const ambiguity = jsonAmbiguity(configuration, value)
    if (ambiguity !== undefined) return { fault: ambiguity }
    const columns = value?.clusteringColumns
    return Array.isArray(columns) ? { columns } : { fault: `must be of the form ${form}` }
  } catch {
    return { fault: `must be JSON of the form ${form}` }
  }
}

/** What is wrong with the configuration of the domain `delta.clustering`, to be read behind its name. */
export function clusteringFaults(
  configuration: string,
  schema: StructType,
  mode: ColumnMappingMode,
): string[] {
  const { columns, fault } = columnsIn(configuration)
  if (columns === undefined) return fault === undefined ? [] : [fault]
  const seen = new Set<string>()
  return columns.flatMap((column) => {
    const path = toPath(column)
    if (path === undefined) return `must be of the form ${form}`
    const key = JSON.stringify(path)
    if (seen.has(key)) return `names ${quoted(path.join('.'))} twice; name it once`
    seen.add(key)
    return columnFault(path, typeAt(schema, path, mode)) ?? []
  })
}
