/** The rules of metaData actions (PROTOCOL.md, "Change Metadata"). */
import type { ActionOf, Metadata, Protocol } from '../actions.ts'
import {
  type Configuration,
  columnMappingChangeFault,
  columnMappingFaults,
  columnMappingMode,
  maxColumnId,
} from '../column-mapping.ts'
import { columnFaults } from '../column-properties.ts'
import { configurationFaults, inCommitTimestampsKey, isOn } from '../configuration.ts'
import type { StructType } from '../data-types.ts'
import { missingFeatures } from '../feature-needs.ts'
import { featureFault } from '../features.ts'
import { enablementKeys, tellsTimes } from '../in-commit-timestamps.ts'
import { parseExact } from '../json.ts'
import { jsonAmbiguity } from '../json-ambiguity.ts'
import { checkPartitionColumns } from '../partitioning.ts'
import { parseSchema, parseSchemaText } from '../schema.ts'
import { type MappedSchema, schemaChangeFaults } from '../schema-changes.ts'
import { partitionColumns, type TableState } from '../table-state.ts'
import { isStorableText, quoted } from '../text.ts'
import type { Report } from '../violations.ts'
import { checkLong, readBody } from './bodies.ts'
import type { Commit } from './commit.ts'
import { checkRowTracking } from './row-ids.ts'

interface CommitReport {
  commit: Commit
  report: Report
}

function checkIdentity(metadata: Metadata, report: Report): void {
  if (metadata.id === '') report('metadata-id-empty', 'metaData id cannot be empty; give a UUID')
  for (const name of ['id', 'name', 'description'] as const) {
    if (!isStorableText(metadata[name] ?? '')) {
      report(
        'text-not-storable',
        `metaData ${name} holds a NUL or unpaired surrogate; leave it out`,
      )
    }
  }
  const { provider } = metadata.format
  if (provider !== 'parquet') {
    const message = `metaData format.provider must be "parquet", not ${quoted(provider)}`
    report('format-unsupported', message)
  }
}

function checkConfiguration(configuration: Configuration, { commit, report }: CommitReport): void {
  for (const { message } of configurationFaults(configuration)) {
    report('configuration-invalid', `metaData configuration: ${message}`)
  }
  const before = commit.state?.metadata.configuration ?? {}
  for (const key of Object.values(enablementKeys)) {
    if (configuration[key] === before[key]) continue
    const message = `metaData configuration: ${key} must stay ${before[key] ?? 'absent'}; it tells since when the table has in-commit timestamps`
    report('in-commit-timestamps-off', message)
  }
  const areLate = commit.state !== undefined && !tellsTimes(commit.state.metadata)
  // Where others began the table without them, the service turns them on.
  if (areLate || isOn(configuration, inCommitTimestampsKey)) return
  const message = `metaData configuration must have ${inCommitTimestampsKey} "true"; the service keeps in-commit timestamps on every table`
  report('in-commit-timestamps-off', message)
}

function checkFeatures(schema: StructType, configuration: Configuration, tell: CommitReport): void {
  const { commit, report } = tell
  if (!commit.protocol) return
  for (const { feature, because } of missingFeatures(commit.protocol, schema, configuration)) {
    const unsupported = featureFault(feature)
    if (unsupported !== undefined) {
      report('feature-unsupported', `metaData: ${unsupported}, for ${because}; leave that out`)
      continue
    }
    const message = `metaData needs table feature ${feature}, for ${because}; add it by a protocol action in the same commit`
    report('feature-missing', message)
  }
}

/** Physical names: to rename a partition column under column mapping changes nothing in the files. */
function partitioning(metadata: Metadata, protocol: Protocol): string {
  const columns = partitionColumns(metadata, protocol)
  return JSON.stringify(columns.map((column) => column.physicalName))
}

function removesEveryFile({ removes }: Commit, state: TableState): boolean {
  let removed = 0
  for (const [key, { vectorId }] of removes) {
    if (state.findLiveFile(key)?.deletionVectorId === vectorId) removed++
  }
  return removed === state.numFiles
}

function checkChange(metadata: Metadata, { commit, report }: CommitReport): void {
  const { state, protocol } = commit
  if (!state || !protocol) return
  const before = state.metadata.configuration ?? {}
  const mapping = columnMappingChangeFault(before, metadata.configuration ?? {})
  if (mapping !== undefined) report('column-mapping-invalid', `metaData configuration: ${mapping}`)
  if (removesEveryFile(commit, state)) return
  if (mapping === undefined) checkSchemaChange(state.metadata, metadata, { commit, report })
  if (partitioning(state.metadata, protocol) === partitioning(metadata, protocol)) return
  const message = `metaData partitionColumns can only change in a commit that removes every file; the table has ${state.numFiles}`
  report('partition-columns-changed', message)
}

/** A schema with its longs exact; undefined where it cannot be read, which is told elsewhere. */
function exactSchema({ schemaString, configuration }: Metadata): MappedSchema | undefined {
  if (parseSchemaText(schemaString, { columnMapping: true }).schema === undefined) return undefined
  const { schema } = parseSchema(parseExact(schemaString), { columnMapping: true })
  return schema && { schema, mode: columnMappingMode(configuration) }
}

function checkSchemaChange(before: Metadata, after: Metadata, tell: CommitReport): void {
  const [old, now] = [exactSchema(before), exactSchema(after)]
  if (old === undefined || now === undefined) return
  const rules = {
    widensTypes:
      tell.commit.features.has('typeWidening') &&
      isOn(after.configuration, 'delta.enableTypeWidening'),
    maxColumnId: maxColumnId(before.configuration ?? {}),
  }
  for (const message of schemaChangeFaults(old, now, rules)) {
    tell.report('schema-change-unsafe', `metaData schemaString: ${message}`)
  }
}

function checkSchema(metadata: Metadata, configuration: Configuration, tell: CommitReport): void {
  const columnMapping = columnMappingMode(configuration) !== 'none'
  const { schema, faults } = parseSchemaText(metadata.schemaString, { columnMapping })
  if (faults) {
    for (const { pointer, message } of faults) {
      const place = pointer === '' ? '' : ` at ${pointer}`
      tell.report('schema-invalid', `metaData schemaString${place} ${message}`)
    }
    return
  }
  const ambiguity = jsonAmbiguity(metadata.schemaString, JSON.parse(metadata.schemaString))
  if (ambiguity !== undefined) {
    tell.report('schema-invalid', `metaData schemaString ${ambiguity}`)
  }
  for (const { message } of checkPartitionColumns(schema, metadata.partitionColumns)) {
    tell.report('partition-columns-invalid', `metaData partitionColumns: ${message}`)
  }
  for (const { message } of columnMappingFaults(schema, configuration)) {
    tell.report('column-mapping-invalid', `metaData: ${message}`)
  }
  for (const { message } of columnFaults(schema, configuration)) {
    tell.report('column-invalid', `metaData schemaString: ${message}`)
  }
  checkFeatures(schema, configuration, tell)
  checkRowTracking({ metadata, schema }, tell)
  checkChange(metadata, tell)
}

/** Judges a metaData action. */
export function checkMetadata(action: ActionOf<'metaData'>, commit: Commit, report: Report): void {
  const configuration = action.body.configuration ?? {}
  checkIdentity(action.body, report)
  checkLong(readBody(action, report).createdTime, { name: 'createdTime' }, report)
  checkConfiguration(configuration, { commit, report })
  checkSchema(action.body, configuration, { commit, report })
}
