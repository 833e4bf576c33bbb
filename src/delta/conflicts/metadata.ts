/** Winners that change the metadata. */
import type { Metadata, Protocol } from '../actions.ts'
import { type Configuration, columnMappingMode } from '../column-mapping.ts'
import { inCommitTimestampsKey, isOn, rowTrackingKey } from '../configuration.ts'
import type { StructField } from '../data-types.ts'
import { supportedFeatures } from '../features.ts'
import { parseExact } from '../json.ts'
import { schemaOf } from '../table-state.ts'
import { listed } from '../text.ts'
import type { Candidate } from './candidate.ts'
import type { Collision } from './conflict.ts'
import { differingMembers } from './json-equality.ts'
import type { Winner } from './winner.ts'

/** A winner's change of metadata, with the protocol that holds after the winner. */
interface Change {
  before: Metadata
  after: Metadata
  protocol: Protocol
}

interface Property {
  key: string
  value: string
  isNew: boolean
  before: Configuration
  after: Configuration
  features: ReadonlySet<string>
}

type Rule = (property: Property) => boolean

const highWaterMarkKey = 'delta.identity.highWaterMark'

const isEnabledWith =
  (feature: string): Rule =>
  ({ value, features }) =>
    value === 'true' && features.has(feature)
const isNew: Rule = (property) => property.isNew
const tracksRows: Rule = ({ after }) => isOn(after, rowTrackingKey)

function turnsOnNameMapping(before: Configuration, after: Configuration): boolean {
  return columnMappingMode(before) === 'none' && columnMappingMode(after) === 'name'
}

/** Properties that a winner may set under a commit that did not know of it, and to what. */
const settable: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  [rowTrackingKey, isEnabledWith('rowTracking')],
  ['delta.rowTracking.materializedRowIdColumnName', tracksRows],
  ['delta.rowTracking.materializedRowCommitVersionColumnName', tracksRows],
  [
    'delta.columnMapping.mode',
    ({ before, after, features }) =>
      turnsOnNameMapping(before, after) && features.has('columnMapping'),
  ],
  ['delta.columnMapping.maxColumnId', () => true],
  ['delta.enableDeletionVectors', isEnabledWith('deletionVectors')],
  [
    'delta.checkpointPolicy',
    ({ value, features }) => value === 'v2' && features.has('v2Checkpoint'),
  ],
  [inCommitTimestampsKey, isEnabledWith('inCommitTimestamp')],
  ['delta.inCommitTimestampEnablementVersion', isNew],
  ['delta.inCommitTimestampEnablementTimestamp', isNew],
  ['io.unitycatalog.tableId', isNew],
])

const columnMappingKeys: ReadonlySet<string> = new Set([
  'delta.columnMapping.id',
  'delta.columnMapping.physicalName',
  'delta.columnMapping.nested.ids',
  'parquet.field.id',
  'parquet.field.nested.ids',
])

/** Properties that a winner removed, or set in a way that is not known to be harmless. */
function harmfulProperties({ before, after, protocol }: Change): string[] {
  const [old, now] = [before.configuration ?? {}, after.configuration ?? {}]
  const features = supportedFeatures(protocol)
  return differingMembers(old, now).filter((key) => {
    const value = Object.hasOwn(now, key) ? now[key] : undefined
    const rule = settable.get(key)
    if (value === undefined || rule === undefined) return true
    return !rule({ key, value, isNew: !Object.hasOwn(old, key), before: old, after: now, features })
  })
}

/** A field as it stands in the schema's text, its longs exact. */
type WrittenField = Omit<StructField, 'metadata'> & { metadata?: Record<string, unknown> }

function topLevelFields(metadata: Metadata): WrittenField[] | undefined {
  if (schemaOf(metadata) === undefined) return undefined
  return (parseExact(metadata.schemaString) as { fields: WrittenField[] }).fields
}

/** What changed in the metadata of a column, where nothing else of it did. */
function changedKeys(before: WrittenField, after: WrittenField | undefined): string[] | undefined {
  if (after === undefined) return undefined
  const others = differingMembers({ ...before }, { ...after }).filter((name) => name !== 'metadata')
  return others.length > 0
    ? undefined
    : differingMembers(before.metadata ?? {}, after.metadata ?? {})
}

/**
 * Whether a change of schema leaves data as it is: it moves high water marks of identity columns, or gives
 * columns their ids and names as column mapping is turned on. Only top-level columns may change (as in
 * Spark), and a schema that this service cannot read may not.
 */
function isHarmlessSchema({ before, after }: Change): boolean {
  const [old, now] = [topLevelFields(before), topLevelFields(after)]
  if (old === undefined || now === undefined || old.length !== now.length) return false
  const mapsColumns = turnsOnNameMapping(before.configuration ?? {}, after.configuration ?? {})
  const keys = old.map((field, index) => changedKeys(field, now[index]))
  return keys.every((changed) =>
    changed?.every(
      (key) => key === highWaterMarkKey || (mapsColumns && columnMappingKeys.has(key)),
    ),
  )
}

/** Absent members in the forms that they stand for. */
function comparable({ id, name, description, format, partitionColumns, createdTime }: Metadata) {
  return {
    id,
    name: name ?? null,
    description: description ?? null,
    format: { ...format, options: format.options ?? {} },
    partitionColumns,
    createdTime: createdTime ?? null,
  }
}

function harmfulFields(change: Change): string[] {
  const fields = differingMembers(comparable(change.before), comparable(change.after))
  const isSameSchema = change.before.schemaString === change.after.schemaString
  return isSameSchema || isHarmlessSchema(change) ? fields : [...fields, 'schemaString']
}

/**
 * Whether a winner's metadata stands against a commit that was decided on the metadata `before`. What only
 * turns a feature on that leaves data as it was may be followed, by a commit that has no metadata itself.
 */
export function metadataCollision(
  candidate: Candidate,
  { metadata }: Winner,
  { before, protocol }: Omit<Change, 'after'>,
): Collision | undefined {
  if (metadata === undefined) return undefined
  const code = 'metadata-changed'
  if (candidate.writesMetadata) {
    return { code, did: 'changed the metadata, which this commit changes too', facts: {} }
  }
  const change: Change = { before, after: metadata, protocol }
  const [fields, properties] = [harmfulFields(change), harmfulProperties(change)]
  if (fields.length === 0 && properties.length === 0) return undefined
  const what = [
    ...(fields.length > 0 ? [`metaData ${listed(fields)}`] : []),
    ...(properties.length > 0 ? [`table properties ${listed(properties)}`] : []),
  ]
  const did = `changed ${what.join(' and ')}, on which this commit was decided`
  const facts = {
    ...(fields.length > 0 && { fields }),
    ...(properties.length > 0 && { properties }),
  }
  return { code, did, facts }
}
