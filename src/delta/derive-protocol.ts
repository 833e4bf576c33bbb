/** The protocol of a new table. */
import type { Protocol } from './actions.ts'
import { type Configuration, columnMappingFaults } from './column-mapping.ts'
import { columnFaults } from './column-properties.ts'
import {
  configurationFaults,
  configurationPointer,
  featurePrefix,
  inCommitTimestampsKey,
  versionKeys,
} from './configuration.ts'
import type { StructType } from './data-types.ts'
import { type Fault, faultsBelow, faultsMax } from './faults.ts'
import { type FeatureNeed, featureNeeds, withDependencies } from './feature-needs.ts'
import {
  featureFault,
  readerVersionMax,
  supportedFeatures,
  tableFeatures,
  writerVersionMax,
} from './features.ts'
import { icebergCompatFaults } from './iceberg-compat.ts'
import { enablementKeys } from './in-commit-timestamps.ts'
import { protocolFaults } from './protocol.ts'
import { rowTrackingFaults } from './row-tracking.ts'

/** What a new table is to be. `requested` is a protocol that the caller wants it to have at least. */
export interface TableDesign {
  schema: StructType
  configuration: Configuration
  requested?: Protocol | undefined
}

/** The protocol and the properties to store; or all that stands against them. */
export type DerivedProtocol =
  | { protocol: Protocol; configuration: Record<string, string>; faults?: undefined }
  | { protocol?: undefined; configuration?: undefined; faults: Fault[] }

function isStored(key: string): boolean {
  return (
    !key.startsWith(featurePrefix) &&
    key !== versionKeys.minReaderVersion &&
    key !== versionKeys.minWriterVersion
  )
}

function timestampFaults(configuration: Configuration): Fault[] {
  const faults: Fault[] = []
  if (configuration[inCommitTimestampsKey] === 'false') {
    const message = `${inCommitTimestampsKey} must be "true" or absent; the service keeps in-commit timestamps on every table`
    faults.push({ pointer: configurationPointer(inCommitTimestampsKey), message })
  }
  for (const key of Object.values(enablementKeys)) {
    if (configuration[key] === undefined) continue
    const message = `${key} must be absent; the table has in-commit timestamps from its first version`
    faults.push({ pointer: configurationPointer(key), message })
  }
  return faults
}

/** The versions asked for by properties, as a protocol. */
function versionsOf(configuration: Configuration): Protocol {
  return {
    minReaderVersion: Number(configuration[versionKeys.minReaderVersion] ?? 1),
    minWriterVersion: Number(configuration[versionKeys.minWriterVersion] ?? 1),
  }
}

function needsOf(protocol: Protocol, pointer: string): FeatureNeed[] {
  const because = 'the requested protocol has it'
  return [...supportedFeatures(protocol)].map((feature) => ({ feature, pointer, because }))
}

function lowestProtocol(names: readonly string[], minReaderVersion: number): Protocol {
  const writerFeatures = [...names].sort()
  const readerFeatures = writerFeatures.filter((name) => tableFeatures.get(name)?.forReaders)
  const mapsColumns = readerFeatures.includes('columnMapping')
  const needsNames = readerFeatures.some((name) => name !== 'columnMapping')
  const needed = needsNames ? readerVersionMax : mapsColumns ? 2 : 1
  const reader = Math.max(needed, minReaderVersion)
  return {
    minReaderVersion: reader,
    minWriterVersion: writerVersionMax,
    ...(reader === readerVersionMax && { readerFeatures }),
    writerFeatures,
  }
}

function designFaults({ schema, configuration, requested }: TableDesign): Fault[] {
  const unfit = requested ? faultsBelow('/protocol', protocolFaults(requested)) : []
  return [
    ...configurationFaults(configuration),
    ...timestampFaults(configuration),
    ...columnMappingFaults(schema, configuration),
    ...rowTrackingFaults(schema, configuration),
    ...columnFaults(schema, configuration),
    ...unfit.map(({ pointer, message }) => ({ pointer, message })),
  ]
}

/**
 * The lowest protocol that a new table's schema and properties need, with in-commit timestamps on, raised to
 * what the caller asks for: features are united, and those that a legacy version implies are listed by name,
 * for in-commit timestamps take writer version 7.
 *
 * The properties come back as they are to be stored: with in-commit timestamps turned on, and without those
 * that speak of the protocol (`delta.feature.*`, `delta.minReaderVersion`, `delta.minWriterVersion`).
 */
export function deriveProtocol(design: TableDesign): DerivedProtocol {
  const { schema, configuration, requested } = design
  const faults = designFaults(design)
  const stored = Object.fromEntries(Object.entries(configuration).filter(([key]) => isStored(key)))
  stored[inCommitTimestampsKey] = 'true'
  const versions = versionsOf(configuration)
  const all = withDependencies([
    ...featureNeeds(schema, { ...configuration, ...stored }),
    ...needsOf(versions, '/configuration'),
    ...(requested ? needsOf(requested, '/protocol') : []),
  ])
  for (const { feature, pointer, because } of all) {
    const message = pointer === '/protocol' ? undefined : featureFault(feature)
    if (message !== undefined) faults.push({ pointer, message: `${message} (${because})` })
  }
  const names = all.map((need) => need.feature)
  for (const message of icebergCompatFaults({ schema, configuration, features: new Set(names) })) {
    faults.push({ pointer: '/configuration', message })
  }
  if (faults.length > 0) return { faults: faults.slice(0, faultsMax) }
  const least = Math.max(versions.minReaderVersion, requested?.minReaderVersion ?? 1)
  return { protocol: lowestProtocol(names, least), configuration: stored }
}
