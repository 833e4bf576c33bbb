/** Which table features a schema and properties need. */
import type { Protocol } from './actions.ts'
import { type Configuration, columnMappingMode } from './column-mapping.ts'
import {
  configurationPointer,
  constraintPrefix,
  featurePrefix,
  inCommitTimestampsKey,
  isOn,
  rowTrackingKey,
} from './configuration.ts'
import { allFields, containsType, type StructField, type StructType } from './data-types.ts'
import { findFeature, supportedFeatures, tableFeatures } from './features.ts'
import { quoted } from './text.ts'

/** A feature that a table needs, where that is asked for, and why. */
export interface FeatureNeed {
  feature: string
  pointer: string
  because: string
}

const flagFeatures: ReadonlyMap<string, string> = new Map([
  ['delta.appendOnly', 'appendOnly'],
  ['delta.enableChangeDataFeed', 'changeDataFeed'],
  ['delta.enableDeletionVectors', 'deletionVectors'],
  ['delta.enableIcebergCompatV1', 'icebergCompatV1'],
  ['delta.enableIcebergCompatV2', 'icebergCompatV2'],
  ['delta.enableIcebergCompatV3', 'icebergCompatV3'],
  ['delta.enableMaterializePartitionColumnsFeature', 'materializePartitionColumns'],
  [rowTrackingKey, 'rowTracking'],
  ['delta.enableTypeWidening', 'typeWidening'],
  ['delta.enableVariantShredding', 'variantShredding'],
  [inCommitTimestampsKey, 'inCommitTimestamp'],
])

function requestedFeature(key: string): string {
  const name = key.slice(featurePrefix.length)
  return findFeature(name)?.name ?? name
}

function propertyFeature(key: string, configuration: Configuration): string | undefined {
  if (key.startsWith(constraintPrefix)) return 'checkConstraints'
  if (key.startsWith(featurePrefix)) return requestedFeature(key)
  if (key === 'delta.columnMapping.mode') {
    return columnMappingMode(configuration) === 'none' ? undefined : 'columnMapping'
  }
  if (key === 'delta.checkpointPolicy') {
    return configuration[key] === 'v2' ? 'v2Checkpoint' : undefined
  }
  return isOn(configuration, key) ? flagFeatures.get(key) : undefined
}

function propertyNeeds(configuration: Configuration): FeatureNeed[] {
  return Object.keys(configuration).flatMap((key) => {
    const feature = propertyFeature(key, configuration)
    const because = `${quoted(key)} is ${quoted(configuration[key] ?? '')}`
    return feature ? [{ feature, pointer: configurationPointer(key), because }] : []
  })
}

const fieldFeatures: ReadonlyMap<string, string> = new Map([
  ['delta.invariants', 'invariants'],
  ['delta.generationExpression', 'generatedColumns'],
  ['CURRENT_DEFAULT', 'allowColumnDefaults'],
  ['delta.typeChanges', 'typeWidening'],
])

function metadataFeature(key: string): string | undefined {
  return key.startsWith('delta.identity.') ? 'identityColumns' : fieldFeatures.get(key)
}

const typeFeatures = [
  ['timestamp_ntz', 'timestampNtz'],
  ['variant', 'variantType'],
] as const

function* fieldNeeds(field: StructField): Generator<readonly [feature: string, what: string]> {
  for (const key of Object.keys(field.metadata)) {
    const feature = metadataFeature(key)
    if (feature !== undefined) yield [feature, key]
  }
  for (const [type, feature] of typeFeatures) {
    if (containsLeaf(field, type)) yield [feature, `type ${type}`]
  }
}

/** Structs are left out: their fields are visited by themselves. */
function containsLeaf({ type }: StructField, name: string): boolean {
  if (typeof type !== 'string' && type.type === 'struct') return false
  return containsType(type, (inner) => inner === name)
}

function schemaNeeds(schema: StructType): FeatureNeed[] {
  const needs: FeatureNeed[] = []
  for (const { field, pointer, path } of allFields(schema)) {
    const need = (feature: string, what: string) =>
      needs.push({
        feature,
        pointer: `/schema${pointer}`,
        because: `column ${quoted(path)} ${what}`,
      })
    for (const [feature, what] of fieldNeeds(field)) need(feature, `has ${what}`)
    // To Spark a column that forbids nulls has an invariant; it does not read a table of which that is not told.
    if (!field.nullable && !inCollection.test(pointer)) need('invariants', 'forbids nulls')
  }
  return needs
}

/** The place of a field inside an array or map. */
const inCollection = /\/(?:element|key|value)Type/

/** Adds what the needed features need in turn. Each feature is told once, with its first reason. */
export function withDependencies(needs: readonly FeatureNeed[]): FeatureNeed[] {
  const found = new Map<string, FeatureNeed>()
  const open = [...needs].reverse()
  for (let need = open.pop(); need !== undefined; need = open.pop()) {
    if (found.has(need.feature)) continue
    const { feature, pointer } = need
    found.set(feature, need)
    for (const other of tableFeatures.get(feature)?.needs ?? []) {
      open.push({ feature: other, pointer, because: `table feature ${feature} needs it` })
    }
  }
  return [...found.values()]
}

/** The features that a schema and properties need, each with the first reason found. */
export function featureNeeds(schema: StructType, configuration: Configuration): FeatureNeed[] {
  return withDependencies([...propertyNeeds(configuration), ...schemaNeeds(schema)])
}

/** The features that a metaData needs and that the protocol lacks. */
export function missingFeatures(
  protocol: Protocol,
  schema: StructType,
  configuration: Configuration,
): FeatureNeed[] {
  const supported = supportedFeatures(protocol)
  return featureNeeds(schema, configuration).filter(({ feature }) => !supported.has(feature))
}
