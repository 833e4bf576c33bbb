/** Column mapping: columns known by id and physical name (PROTOCOL.md, "Column Mapping"). */
import { allFields, type PlacedField, type StructField, type StructType } from './data-types.ts'
import { type Fault, faultsMax, pointerSegment } from './faults.ts'
import { quoted } from './text.ts'

export type ColumnMappingMode = 'none' | 'name' | 'id'

/** Properties of a table, as its metaData holds them. */
export type Configuration = Readonly<Record<string, string>>

const modeKey = 'delta.columnMapping.mode'
const maxIdKey = 'delta.columnMapping.maxColumnId'
const idKey = 'delta.columnMapping.id'
const nameKey = 'delta.columnMapping.physicalName'
const idMax = 2 ** 31 - 1

/** The mode that a table's properties ask for; it holds only where the protocol supports column mapping. */
export function columnMappingMode(configuration: Configuration | undefined): ColumnMappingMode {
  const mode = configuration?.[modeKey]
  return mode === 'name' || mode === 'id' ? mode : 'none'
}

/** The name by which files, partition values and statistics know a column. */
export function physicalName(field: StructField, mode: ColumnMappingMode): string {
  const name = field.metadata[nameKey]
  return mode !== 'none' && typeof name === 'string' ? name : field.name
}

/** The id of a column under column mapping; undefined where it has none. */
export function columnId(field: StructField): number | undefined {
  const id = field.metadata[idKey]
  return typeof id === 'number' ? id : undefined
}

/** The highest id that a column of a table ever had. */
export function maxColumnId(configuration: Configuration): number {
  return Number(configuration[maxIdKey] ?? 0)
}

interface Assigned {
  ids: Map<number, string>
  /** Physical names by the struct that they stand in: unique there, their paths are unique everywhere. */
  names: Set<string>
}

function idFault({ field, path }: PlacedField, { ids }: Assigned): string | undefined {
  const id = field.metadata[idKey]
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 1 || id > idMax) {
    return `column ${quoted(path)} needs a whole number from 1 to ${idMax} as ${idKey}; the service does not assign ids yet`
  }
  const other = ids.get(id)
  ids.set(id, path)
  return other === undefined
    ? undefined
    : `column ${quoted(path)} has the ${idKey} ${id} of column ${quoted(other)}; ids are unique`
}

function nameFault({ field, path, pointer }: PlacedField, { names }: Assigned): string | undefined {
  const name = field.metadata[nameKey]
  if (typeof name !== 'string' || name === '') {
    return `column ${quoted(path)} needs a non-empty ${nameKey}; the service does not assign names yet`
  }
  const struct = pointer.slice(0, pointer.lastIndexOf('/'))
  const place = `${struct} ${name}`
  const isTaken = names.has(place)
  names.add(place)
  return isTaken
    ? `column ${quoted(path)} repeats the ${nameKey} ${quoted(name)} of another column; physical names are unique`
    : undefined
}

function maxIdFault(highest: number, configuration: Configuration): Fault | undefined {
  const given = configuration[maxIdKey]
  if (given !== undefined && Number(given) >= highest) return undefined
  const what = given === undefined ? 'is missing' : `is ${quoted(given)}`
  return {
    pointer: `/configuration${pointerSegment(maxIdKey)}`,
    message: `${maxIdKey} ${what}; with column mapping on it must be at least ${highest}, the highest ${idKey} in the schema`,
  }
}

/**
 * What is missing or wrong in the ids and physical names of a schema with column mapping on; empty when it
 * is off. Pointers begin at `/schema` and `/configuration`.
 */
export function columnMappingFaults(schema: StructType, configuration: Configuration): Fault[] {
  if (columnMappingMode(configuration) === 'none') return []
  const faults: Fault[] = []
  const assigned: Assigned = { ids: new Map(), names: new Set() }
  for (const place of allFields(schema)) {
    const pointer = `/schema${place.pointer}/metadata`
    for (const message of [idFault(place, assigned), nameFault(place, assigned)]) {
      if (message !== undefined) faults.push({ pointer, message })
    }
    if (faults.length >= faultsMax) return faults.slice(0, faultsMax)
  }
  const highest = Math.max(0, ...assigned.ids.keys())
  const missing = maxIdFault(highest, configuration)
  return missing ? [...faults, missing] : faults
}

/**
 * Why column mapping may not change in this way on a table that has data, or undefined when it may. Files
 * know their columns by what the mode says, so only turning it on by name is safe.
 */
export function columnMappingChangeFault(
  before: Configuration,
  after: Configuration,
): string | undefined {
  const [from, to] = [columnMappingMode(before), columnMappingMode(after)]
  if (from !== to && !(from === 'none' && to === 'name')) {
    return `${modeKey} cannot change from ${from} to ${to}; only from none to name`
  }
  if (to === 'none' || from === 'none') return undefined
  const [was, is] = [maxColumnId(before), maxColumnId(after)]
  return is < was
    ? `${maxIdKey} cannot go down from ${was} to ${is}; ids of dropped columns are never used again`
    : undefined
}
