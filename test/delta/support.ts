import type {
  ActionBodies,
  ActionOf,
  AddFile,
  Metadata,
  OtherAction,
  Protocol,
} from '../../src/delta/actions.ts'
import type { StructField } from '../../src/delta/data-types.ts'
import type { TableState } from '../../src/delta/table-state.ts'

/** An action as it comes out of a request. `json` only where it is not what the body gives. */
export function action<K extends keyof ActionBodies>(
  kind: K,
  body: ActionBodies[K],
  json = JSON.stringify({ [kind]: body }),
): ActionOf<K> {
  return { kind, body, json }
}

export function other(name: string, body: unknown = {}): OtherAction {
  return { kind: 'other', name, body, json: JSON.stringify({ [name]: body }) }
}

export function add(path: string, more: Partial<AddFile> = {}): ActionOf<'add'> {
  const given = { partitionValues: {}, size: 10, modificationTime: 1, dataChange: true }
  return action('add', { path, ...given, ...more })
}

export function remove(
  path: string,
  more: Partial<ActionBodies['remove']> = {},
): ActionOf<'remove'> {
  return action('remove', { path, dataChange: true, ...more })
}

export function cdc(path: string, more: Partial<ActionBodies['cdc']> = {}): ActionOf<'cdc'> {
  return action('cdc', { path, partitionValues: {}, size: 10, dataChange: false, ...more })
}

export function txn(appId: string, version: number): ActionOf<'txn'> {
  return action('txn', { appId, version })
}

export function domain(name: string, configuration = '{}'): ActionOf<'domainMetadata'> {
  return action('domainMetadata', { domain: name, configuration, removed: false })
}

/** A top-level column. */
export function column(
  name: string,
  type: StructField['type'] = 'long',
  metadata: Record<string, unknown> = {},
): StructField {
  return { name, type, nullable: true, metadata }
}

export function mapped(id: number, physicalName: string): Record<string, unknown> {
  return { 'delta.columnMapping.id': id, 'delta.columnMapping.physicalName': physicalName }
}

export function schemaString(...fields: unknown[]): string {
  return JSON.stringify({ type: 'struct', fields })
}

interface TableOptions {
  fields?: StructField[]
  partitionColumns?: string[]
  configuration?: Record<string, string>
}

export function metadata(options: TableOptions & Partial<Metadata> = {}): Metadata {
  const { fields = [column('id')], partitionColumns = [], configuration = {}, ...more } = options
  return {
    id: 'a3b0',
    format: { provider: 'parquet', options: {} },
    schemaString: schemaString(...fields),
    partitionColumns,
    configuration: { 'delta.enableInCommitTimestamps': 'true', ...configuration },
    ...more,
  }
}

const readerFeatureNames = new Set([
  'catalogManaged',
  'v2Checkpoint',
  'vacuumProtocolCheck',
  'variantShredding',
  'columnMapping',
  'deletionVectors',
  'timestampNtz',
  'typeWidening',
  'variantType',
])

/** A protocol with in-commit timestamps and the features named. */
export function protocol(...features: string[]): Protocol {
  const readerFeatures = features.filter((name) => readerFeatureNames.has(name))
  const writerFeatures = ['inCommitTimestamp', ...features]
  return readerFeatures.length > 0
    ? { minReaderVersion: 3, minWriterVersion: 7, readerFeatures, writerFeatures }
    : { minReaderVersion: 1, minWriterVersion: 7, writerFeatures }
}

/** A table at version 4 with files by path, each with the id of its deletion vector. */
export function table(
  options: TableOptions & {
    features?: string[]
    files?: Record<string, string | null>
    /** The adds of files, by path. */
    lines?: Record<string, ActionOf<'add'>>
    rowIdHighWaterMark?: number | bigint
    filesWithoutRowIds?: number
  } = {},
): TableState {
  const files = new Map(Object.entries(options.files ?? {}))
  return {
    version: 4,
    protocol: protocol(...(options.features ?? [])),
    metadata: metadata(options),
    numFiles: files.size,
    rowIdHighWaterMark: options.rowIdHighWaterMark ?? null,
    filesWithoutRowIds: options.filesWithoutRowIds,
    findLiveFile: (key) => {
      const deletionVectorId = files.get(key)
      const add = options.lines?.[key]?.json ?? null
      return deletionVectorId === undefined ? undefined : { deletionVectorId, add }
    },
  }
}

/** A table like `table`, without files, that has its change data feed on. */
export function feedingTable({
  features = [],
  configuration,
  ...more
}: Parameters<typeof table>[0] = {}): TableState {
  return table({
    ...more,
    features: ['changeDataFeed', ...features],
    configuration: { 'delta.enableChangeDataFeed': 'true', ...configuration },
  })
}

/** A deletion vector with its own file. `seed` is one character. */
export function vector(seed: string, cardinality = 1): NonNullable<AddFile['deletionVector']> {
  return {
    storageType: 'u',
    pathOrInlineDv: seed.repeat(20),
    offset: 4,
    sizeInBytes: 40,
    cardinality,
  }
}

export function stats(numRecords: number): string {
  return JSON.stringify({ numRecords })
}
