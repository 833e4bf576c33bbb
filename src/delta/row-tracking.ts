/** Which tables track their rows, and what their properties must be (PROTOCOL.md, "Row Tracking"). */
import type { Metadata, Protocol } from './actions.ts'
import { type Configuration, columnMappingMode, physicalName } from './column-mapping.ts'
import { configurationPointer, isOn, rowTrackingKey } from './configuration.ts'
import type { StructType } from './data-types.ts'
import type { Fault } from './faults.ts'
import { supportedFeatures } from './features.ts'
import { quoted } from './text.ts'

const suspendedKey = 'delta.rowTrackingSuspended'

/** Properties that name the hidden columns of data files, and how generated names begin. */
const hiddenColumns = {
  'delta.rowTracking.materializedRowIdColumnName': '_row-id-col-',
  'delta.rowTracking.materializedRowCommitVersionColumnName': '_row-commit-version-col-',
} as const

const hiddenColumnKeys = Object.keys(hiddenColumns) as (keyof typeof hiddenColumns)[]

/** Whether every file that is added to a table must have row ids: it has the feature, and has not suspended it. */
export function tracksRows(
  protocol: Protocol | undefined,
  metadata: Metadata | undefined,
): boolean {
  return (
    protocol !== undefined &&
    supportedFeatures(protocol).has('rowTracking') &&
    !isOn(metadata?.configuration, suspendedKey)
  )
}

/** Whether readers of a table may rely on row ids. */
export function reliesOnRowIds(metadata: Metadata | undefined): boolean {
  return isOn(metadata?.configuration, rowTrackingKey)
}

/** The properties of a new table, with names for hidden columns where it can track rows and has none. */
export function withHiddenColumns(
  configuration: Record<string, string>,
  protocol: Protocol,
  newId: () => string,
): Record<string, string> {
  if (!supportedFeatures(protocol).has('rowTracking')) return configuration
  const names = hiddenColumnKeys.map((key) => [key, `${hiddenColumns[key]}${newId()}`])
  return { ...Object.fromEntries(names), ...configuration }
}

function takenNames(schema: StructType, configuration: Configuration): Set<string> {
  const mode = columnMappingMode(configuration)
  return new Set(
    schema.fields
      .flatMap((field) => [field.name, physicalName(field, mode)])
      .map((name) => name.toLowerCase()),
  )
}

/**
 * What is wrong with the properties of row tracking; pointers begin at `/configuration`. Names of hidden
 * columns may be missing here.
 */
export function rowTrackingFaults(schema: StructType, configuration: Configuration): Fault[] {
  const faults: Fault[] = []
  const taken = takenNames(schema, configuration)
  for (const key of hiddenColumnKeys) {
    const name = configuration[key]
    if (name === undefined) continue
    if (name === '' || taken.has(name.toLowerCase())) {
      const message = `${key} must be a name that no column has, not ${quoted(name)}`
      faults.push({ pointer: configurationPointer(key), message })
    }
    taken.add(name.toLowerCase())
  }
  if (isOn(configuration, rowTrackingKey) && isOn(configuration, suspendedKey)) {
    const message = `${suspendedKey} and ${rowTrackingKey} cannot both be "true"; set one of them to false`
    faults.push({ pointer: configurationPointer(suspendedKey), message })
  }
  return faults
}

/** Why the names of hidden columns may not change in this way; files hold rows by the old ones. */
export function hiddenColumnFaults(before: Configuration, after: Configuration): string[] {
  return hiddenColumnKeys.flatMap((key) => {
    const [old, now] = [before[key], after[key]]
    if (old !== undefined && now !== old) return `${key} must stay ${quoted(old)}`
    const isMissing = now === undefined && isOn(after, rowTrackingKey)
    return isMissing ? `${key} is missing; with ${rowTrackingKey} on, give a name of its own` : []
  })
}
