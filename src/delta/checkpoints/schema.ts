/** The columns of a checkpoint, one for each kind of action (PROTOCOL.md, "Checkpoint Schema"). */
import type { DataType, MapType, StructField, StructType } from '../data-types.ts'
import type { CheckpointSettings } from './settings.ts'
import { optional } from './statistics-schema.ts'

/**
 * What a file of a checkpoint may hold: everything, or files alone. One that names sidecars has no files, but Spark
 * does not read it without their columns.
 */
export type CheckpointContent = 'all' | 'files'

function struct(fields: Record<string, DataType | undefined>): StructType {
  const given = Object.entries(fields).flatMap(([name, type]): StructField[] =>
    type === undefined ? [] : [optional(name, type)],
  )
  return { type: 'struct', fields: given }
}

const strings: MapType = {
  type: 'map',
  keyType: 'string',
  valueType: 'string',
  valueContainsNull: true,
}
const names: DataType = { type: 'array', elementType: 'string', containsNull: true }

const deletionVector = struct({
  storageType: 'string',
  pathOrInlineDv: 'string',
  offset: 'integer',
  sizeInBytes: 'integer',
  cardinality: 'long',
})

function addSchema({ statsAsJson, statistics, partitions }: CheckpointSettings): StructType {
  return struct({
    path: 'string',
    partitionValues: strings,
    size: 'long',
    modificationTime: 'long',
    dataChange: 'boolean',
    tags: strings,
    deletionVector,
    baseRowId: 'long',
    defaultRowCommitVersion: 'long',
    clusteringProvider: 'string',
    stats: statsAsJson ? 'string' : undefined,
    stats_parsed: statistics,
    partitionValues_parsed: partitions,
  })
}

/** Tombstones have neither statistics nor tags. */
const remove = struct({
  path: 'string',
  deletionTimestamp: 'long',
  dataChange: 'boolean',
  extendedFileMetadata: 'boolean',
  partitionValues: strings,
  size: 'long',
  deletionVector,
  baseRowId: 'long',
  defaultRowCommitVersion: 'long',
})

const top = {
  txn: struct({ appId: 'string', version: 'long', lastUpdated: 'long' }),
  metaData: struct({
    id: 'string',
    name: 'string',
    description: 'string',
    format: struct({ provider: 'string', options: strings }),
    schemaString: 'string',
    partitionColumns: names,
    configuration: strings,
    createdTime: 'long',
  }),
  protocol: struct({
    minReaderVersion: 'integer',
    minWriterVersion: 'integer',
    readerFeatures: names,
    writerFeatures: names,
  }),
  domainMetadata: struct({ domain: 'string', configuration: 'string', removed: 'boolean' }),
}

const ofV2 = {
  checkpointMetadata: struct({ version: 'long', tags: strings }),
  sidecar: struct({
    path: 'string',
    sizeInBytes: 'long',
    modificationTime: 'long',
    tags: strings,
  }),
}

/** The columns of a file of a checkpoint. */
export function checkpointSchema(
  settings: CheckpointSettings,
  content: CheckpointContent,
): StructType {
  const files = { add: addSchema(settings), remove }
  if (content === 'files') return struct(files)
  const { txn, ...others } = top
  return struct({
    txn,
    ...files,
    ...others,
    ...(settings.isV2 && ofV2),
  })
}
