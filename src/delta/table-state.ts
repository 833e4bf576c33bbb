/** What the rules need to know of a table. */
import type { Long, Metadata, Protocol } from './actions.ts'
import { columnMappingMode } from './column-mapping.ts'
import type { StructType } from './data-types.ts'
import { supportedFeatures } from './features.ts'
import { type PartitionColumn, partitionColumnsOf } from './partitioning.ts'
import { parseSchemaText } from './schema.ts'

/** A file that is in the table. */
export interface LiveFile {
  deletionVectorId: string | null
  /** The log line of its add, where that is known. */
  add?: string | null
}

/** A table at the version that a commit is to follow. */
export interface TableState {
  version: number
  protocol: Protocol
  metadata: Metadata
  numFiles: number
  /** The highest row id ever given to a row; null where none was. */
  rowIdHighWaterMark: Long | null
  /** Live files that lack row ids; need only be known when a commit makes readers rely on them. */
  filesWithoutRowIds?: number | undefined
  /** Finds a live file by its canonical path; need only know the paths that the commit touches. */
  findLiveFile: (key: string) => LiveFile | undefined
}

/** The metadata of a log line. Tables of early writers may have no schema. */
export function metadataOfLine(line: string): Metadata {
  const metadata: Metadata = JSON.parse(line).metaData
  return { ...metadata, schemaString: metadata.schemaString ?? '' }
}

const schemas = new WeakMap<Metadata, StructType | undefined>()

/**
 * The schema of a table, or undefined where it cannot be read. It is read once for each metadata object, so
 * whoever keeps the object from commit to commit does not pay for it again.
 */
export function schemaOf(metadata: Metadata): StructType | undefined {
  if (!schemas.has(metadata)) {
    schemas.set(metadata, parseSchemaText(metadata.schemaString, { columnMapping: true }).schema)
  }
  return schemas.get(metadata)
}

/** The partition columns of a table, with the names that its files know them by. */
export function partitionColumns(metadata: Metadata, protocol: Protocol): PartitionColumn[] {
  if (metadata.partitionColumns.length === 0) return []
  const mapsColumns = supportedFeatures(protocol).has('columnMapping')
  const mode = mapsColumns ? columnMappingMode(metadata.configuration) : 'none'
  return partitionColumnsOf(schemaOf(metadata), metadata.partitionColumns, mode)
}
