/** The table properties that Delta gives a meaning to, and what their values may be. */
import type { Configuration } from './column-mapping.ts'
import { type Fault, faultsMax, pointerSegment } from './faults.ts'
import { longMax } from './longs.ts'
import { isStorableText, quoted } from './text.ts'

/** Asks that a table's protocol be made for a feature. */
export const featurePrefix = 'delta.feature.'
/** Ask that a table's protocol have at least these versions. */
export const versionKeys = {
  minReaderVersion: 'delta.minReaderVersion',
  minWriterVersion: 'delta.minWriterVersion',
} as const
export const inCommitTimestampsKey = 'delta.enableInCommitTimestamps'
export const rowTrackingKey = 'delta.enableRowTracking'
export const constraintPrefix = 'delta.constraints.'

interface Rule {
  expects: string
  accepts: (value: string) => boolean
}

const flag: Rule = {
  expects: '"true" or "false"',
  accepts: (value) => value === 'true' || value === 'false',
}

function oneOf(...values: string[]): Rule {
  const names = values.map((value) => JSON.stringify(value)).join(' or ')
  return { expects: names, accepts: (value) => values.includes(value) }
}

function integerFrom(min: number, max: bigint = longMax): Rule {
  return {
    expects: `a whole number from ${min} to ${max}`,
    accepts: (value) => /^-?\d{1,19}$/.test(value) && BigInt(value) >= min && BigInt(value) <= max,
  }
}

const intMax = 2n ** 31n - 1n
const duration =
  /^(interval\s+)?(\d+\s+(week|day|hour|minute|second|millisecond|microsecond)s?\s*)+$/i

const interval: Rule = {
  expects: 'a duration such as "interval 7 days", without months or years',
  accepts: (value) => duration.test(value),
}

const featureRule = oneOf('supported', 'enabled')

const expression: Rule = { expects: 'a SQL expression', accepts: (value) => value.trim() !== '' }

const rules: ReadonlyMap<string, Rule> = new Map([
  ['delta.appendOnly', flag],
  ['delta.autoOptimize', flag],
  ['delta.autoOptimize.optimizeWrite', flag],
  ['delta.checkpoint.writeStatsAsJson', flag],
  ['delta.checkpoint.writeStatsAsStruct', flag],
  ['delta.enableChangeDataFeed', flag],
  ['delta.enableDeletionVectors', flag],
  ['delta.enableExpiredLogCleanup', flag],
  ['delta.enableFullRetentionRollback', flag],
  ['delta.enableIcebergCompatV1', flag],
  ['delta.enableIcebergCompatV2', flag],
  ['delta.enableIcebergCompatV3', flag],
  [inCommitTimestampsKey, flag],
  ['delta.enableMaterializePartitionColumnsFeature', flag],
  [rowTrackingKey, flag],
  ['delta.enableTypeWidening', flag],
  ['delta.enableVariantShredding', flag],
  ['delta.randomizeFilePrefixes', flag],
  ['delta.rowTrackingSuspended', flag],
  ['delta.checkpointInterval', integerFrom(1, intMax)],
  ['delta.columnMapping.maxColumnId', integerFrom(0, intMax)],
  ['delta.dataSkippingNumIndexedCols', integerFrom(-1, intMax)],
  ['delta.dataSkippingStringPrefixLength', integerFrom(0, intMax)],
  ['delta.inCommitTimestampEnablementTimestamp', integerFrom(0)],
  ['delta.inCommitTimestampEnablementVersion', integerFrom(0)],
  ['delta.randomPrefixLength', integerFrom(1, intMax)],
  ['delta.requireCheckpointProtectionBeforeVersion', integerFrom(0)],
  ['delta.checkpointRetentionDuration', interval],
  ['delta.deletedFileRetentionDuration', interval],
  ['delta.logRetentionDuration', interval],
  ['delta.sampleRetentionDuration', interval],
  ['delta.setTransactionRetentionDuration', interval],
  ['delta.checkpointPolicy', oneOf('classic', 'v2')],
  ['delta.columnMapping.mode', oneOf('none', 'name', 'id')],
  ['delta.isolationLevel', oneOf('Serializable', 'WriteSerializable')],
  [versionKeys.minReaderVersion, integerFrom(1, 3n)],
  [versionKeys.minWriterVersion, integerFrom(1, 7n)],
])

const spelling: ReadonlyMap<string, string> = new Map(
  [...rules.keys()].map((key) => [key.toLowerCase(), key]),
)

/** Whether a property that is "true" or "false" is on. */
export function isOn(configuration: Configuration | undefined, key: string): boolean {
  return configuration?.[key] === 'true'
}

/** Where a property stands. */
export function configurationPointer(key: string): string {
  return `/configuration${pointerSegment(key)}`
}

function ruleOf(key: string): Rule | undefined {
  if (key.startsWith(featurePrefix)) return featureRule
  return key.startsWith(constraintPrefix) ? expression : rules.get(key)
}

function propertyFault(key: string, value: string): string | undefined {
  if (!isStorableText(key) || !isStorableText(value)) {
    return `property ${quoted(key)} holds a NUL character or an unpaired surrogate; leave it out`
  }
  const rule = ruleOf(key)
  if (rule !== undefined) {
    return rule.accepts(value) ? undefined : `${key} must be ${rule.expects}, not ${quoted(value)}`
  }
  const meant = spelling.get(key.toLowerCase())
  return meant && `${quoted(key)} is not known to Delta; write it ${meant}`
}

/**
 * What is wrong with the properties of a table; pointers begin at `/configuration`.
 *
 * Properties that Delta knows must have a value that it can read. One that it does not know is kept, also
 * under `delta.`: platforms have many of their own (`delta.targetFileSize`), tables carry them from place to
 * place, and readers ignore them. But a known name in other letters is refused, for it would be ignored too,
 * and a table thought to be append-only would not be.
 */
export function configurationFaults(configuration: Configuration): Fault[] {
  const faults: Fault[] = []
  for (const [key, value] of Object.entries(configuration)) {
    const message = propertyFault(key, value)
    if (message !== undefined) faults.push({ pointer: configurationPointer(key), message })
    if (faults.length === faultsMax) break
  }
  return faults
}
