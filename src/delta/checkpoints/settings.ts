/** What a table's properties say about its checkpoints and the files of its log. */
import type { Metadata, Protocol } from '../actions.ts'
import { type Configuration, columnMappingMode } from '../column-mapping.ts'
import type { StructType } from '../data-types.ts'
import { durationMs } from '../durations.ts'
import { supportedFeatures } from '../features.ts'
import { schemaOf } from '../table-state.ts'
import { partitionSchema, statisticsSchema } from './statistics-schema.ts'

/** How the checkpoints of a table are written (PROTOCOL.md, "Checkpoints", "Table Properties"). */
export interface CheckpointSettings {
  /** Whether by the V2 spec. */
  isV2: boolean
  codec: CheckpointCodec
  /** Whether files keep `stats`. */
  statsAsJson: boolean
  /** What `stats_parsed` holds; undefined when there is none. */
  statistics: StructType | undefined
  /** What `partitionValues_parsed` holds; undefined when there is none. */
  partitions: StructType | undefined
  /** Time for which a removed file is kept as a tombstone. */
  tombstoneMs: number
  /** Time after which an app transaction is forgotten; undefined for never. */
  appTransactionMs: number | undefined
}

/** How pages are compressed, by the names of Parquet. */
export type CheckpointCodec = 'UNCOMPRESSED' | 'SNAPPY' | 'GZIP' | 'ZSTD'

const codecs: ReadonlyMap<string, CheckpointCodec> = new Map([
  ['none', 'UNCOMPRESSED'],
  ['uncompressed', 'UNCOMPRESSED'],
  ['snappy', 'SNAPPY'],
  ['gzip', 'GZIP'],
  ['zstd', 'ZSTD'],
])

/** How long the files of a log are kept (PROTOCOL.md, "Metadata Cleanup"). */
export interface LogRetention {
  retentionMs: number
  isOn: boolean
  /** No version below may lose its commit (`delta.requireCheckpointProtectionBeforeVersion`). */
  protectedBefore: number
}

const dayMs = 86_400_000
const intervalDefault = 10

/** Versions from one checkpoint to the next. */
export function checkpointInterval(configuration: Configuration | undefined): number {
  const interval = Number(configuration?.['delta.checkpointInterval'])
  return Number.isSafeInteger(interval) && interval > 0 ? interval : intervalDefault
}

function duration(configuration: Configuration, key: string): number | undefined {
  const text = configuration[key]
  return text === undefined ? undefined : durationMs(text)
}

function flag(configuration: Configuration, key: string, otherwise: boolean): boolean {
  const text = configuration[key]?.toLowerCase()
  return text === 'true' || text === 'false' ? text === 'true' : otherwise
}

/** One that is not known here falls back to the default, as the protocol has it. */
function codecOf(configuration: Configuration): CheckpointCodec {
  const name = configuration['delta.parquet.compression.codec'] ?? 'zstd'
  return codecs.get(name.toLowerCase()) ?? 'ZSTD'
}

/** A property that cannot be read counts as absent. */
export function checkpointSettings(metadata: Metadata, protocol: Protocol): CheckpointSettings {
  const configuration = metadata.configuration ?? {}
  const features = supportedFeatures(protocol)
  const schema = schemaOf(metadata)
  const asStruct = flag(configuration, 'delta.checkpoint.writeStatsAsStruct', false)
  const mode = features.has('columnMapping') ? columnMappingMode(configuration) : 'none'
  const table = {
    partitionColumns: metadata.partitionColumns,
    configuration,
    columnMapping: mode,
    hasDeletionVectors: features.has('deletionVectors'),
  }
  return {
    codec: codecOf(configuration),
    isV2: features.has('v2Checkpoint') && configuration['delta.checkpointPolicy'] === 'v2',
    statsAsJson: flag(configuration, 'delta.checkpoint.writeStatsAsJson', true),
    statistics: asStruct && schema ? statisticsSchema(schema, table) : undefined,
    partitions: asStruct && schema ? partitionSchema(schema, table) : undefined,
    tombstoneMs: duration(configuration, 'delta.deletedFileRetentionDuration') ?? 7 * dayMs,
    appTransactionMs: duration(configuration, 'delta.setTransactionRetentionDuration'),
  }
}

export function logRetention(metadata: Metadata): LogRetention {
  const configuration = metadata.configuration ?? {}
  const before = Number(configuration['delta.requireCheckpointProtectionBeforeVersion'] ?? 0)
  return {
    retentionMs: duration(configuration, 'delta.logRetentionDuration') ?? 30 * dayMs,
    isOn: flag(configuration, 'delta.enableExpiredLogCleanup', true),
    protectedBefore: Number.isSafeInteger(before) ? before : Number.MAX_SAFE_INTEGER,
  }
}
