/** The table features of Delta (PROTOCOL.md, "Valid Feature Names in Table Features"). */
import type { Protocol } from './actions.ts'
import { quoted } from './text.ts'

/** The highest versions of the protocol; from these on it lists features by name. */
export const readerVersionMax = 3
export const writerVersionMax = 7

export interface TableFeature {
  name: string
  /** Whether readers must know it too. */
  forReaders: boolean
  /** Features that a table must have along with it. */
  needs: readonly string[]
  /** The versions that bring it without naming it, where it is older than feature names. */
  legacy?: { reader: number; writer: number }
  /** Whether this service takes commits to tables with it. */
  isSupported: boolean
}

const writers = { forReaders: false, needs: [], isSupported: true } as const
const readers = { forReaders: true, needs: [], isSupported: true } as const
const notYet = { isSupported: false } as const

const features: readonly TableFeature[] = [
  { name: 'allowColumnDefaults', ...writers },
  { name: 'appendOnly', ...writers, legacy: { reader: 1, writer: 2 } },
  { name: 'catalogManaged', ...readers, ...notYet, needs: ['inCommitTimestamp'] },
  { name: 'changeDataFeed', ...writers, legacy: { reader: 1, writer: 4 } },
  { name: 'checkConstraints', ...writers, legacy: { reader: 1, writer: 3 } },
  { name: 'clustering', ...writers, needs: ['domainMetadata'] },
  { name: 'columnMapping', ...readers, legacy: { reader: 2, writer: 5 } },
  { name: 'deletionVectors', ...readers },
  { name: 'domainMetadata', ...writers },
  { name: 'generatedColumns', ...writers, legacy: { reader: 1, writer: 4 } },
  { name: 'icebergCompatV1', ...writers, needs: ['columnMapping'] },
  { name: 'icebergCompatV2', ...writers, needs: ['columnMapping'] },
  { name: 'identityColumns', ...writers, legacy: { reader: 1, writer: 6 } },
  { name: 'inCommitTimestamp', ...writers },
  { name: 'invariants', ...writers, legacy: { reader: 1, writer: 2 } },
  { name: 'rowTracking', ...writers, needs: ['domainMetadata'] },
  { name: 'timestampNtz', ...readers },
  { name: 'typeWidening', ...readers },
  { name: 'v2Checkpoint', ...readers },
  { name: 'vacuumProtocolCheck', ...readers },
  { name: 'variantShredding', ...readers, needs: ['variantType'] },
  { name: 'variantType', ...readers },
]

/** The catalogue of features by name. */
export const tableFeatures: ReadonlyMap<string, TableFeature> = new Map(
  features.map((feature) => [feature.name, feature]),
)

/** The feature that a name means regardless of case, as in the property `delta.feature.<name>`. */
export function findFeature(name: string): TableFeature | undefined {
  const folded = name.toLowerCase()
  return features.find((feature) => feature.name.toLowerCase() === folded)
}

/** Why a table may not have a feature, or undefined when it may. */
export function featureFault(name: string): string | undefined {
  const feature = tableFeatures.get(name)
  if (feature?.isSupported) return undefined
  if (feature) return `table feature ${name} is not supported by this service yet`
  const known = features.filter(({ isSupported }) => isSupported).map((supported) => supported.name)
  return `table feature ${quoted(name)} is not known to this service; supported are ${known.join(', ')}`
}

/** The names of the features that a table with this protocol has, those of legacy versions included. */
export function supportedFeatures(protocol: Protocol): Set<string> {
  const { minReaderVersion, minWriterVersion } = protocol
  if (minWriterVersion >= writerVersionMax) {
    return new Set([...(protocol.writerFeatures ?? []), ...(protocol.readerFeatures ?? [])])
  }
  const implied = features.filter(
    ({ legacy }) =>
      legacy !== undefined &&
      legacy.reader <= minReaderVersion &&
      legacy.writer <= minWriterVersion,
  )
  return new Set(implied.map((feature) => feature.name))
}
