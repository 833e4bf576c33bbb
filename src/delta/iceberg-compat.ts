/** Tables that can be read as Apache Iceberg too (PROTOCOL.md, "Iceberg Compatibility V1" and "V2"). */
import { type Configuration, columnId, columnMappingMode, physicalName } from './column-mapping.ts'
import { isOn } from './configuration.ts'
import {
  allFields,
  type DataType,
  type PlacedField,
  parseDecimal,
  type StructField,
  type StructType,
} from './data-types.ts'
import { quoted } from './text.ts'
import { readTypeChanges, type TypeChange } from './type-widening.ts'

/** What of a table decides whether Iceberg can read it. */
export interface IcebergDesign {
  schema: StructType
  configuration: Configuration
  features: ReadonlySet<string>
}

interface CompatVersion {
  feature: 'icebergCompatV1' | 'icebergCompatV2'
  property: string
  unfitTypes: ReadonlySet<string>
}

const versions: readonly CompatVersion[] = [
  {
    feature: 'icebergCompatV1',
    property: 'delta.enableIcebergCompatV1',
    unfitTypes: new Set(['map', 'array', 'void']),
  },
  {
    feature: 'icebergCompatV2',
    property: 'delta.enableIcebergCompatV2',
    unfitTypes: new Set(['variant', 'void']),
  },
]

/** The compatibility that holds for a table: supported by its protocol, and turned on. */
export function icebergCompat({
  configuration,
  features,
}: Pick<IcebergDesign, 'configuration' | 'features'>): CompatVersion['feature'][] {
  return versions
    .filter(({ feature, property }) => features.has(feature) && isOn(configuration, property))
    .map(({ feature }) => feature)
}

/** What keeps Iceberg from reading a table that is to be read so; empty when it is not to be. */
export function icebergCompatFaults(design: IcebergDesign): string[] {
  const active = icebergCompat(design)
  const fields = active.length > 0 ? [...allFields(design.schema)] : []
  return versions
    .filter(({ feature }) => active.includes(feature))
    .flatMap((version) => [
      ...propertyFaults(version, design),
      ...fields.flatMap((place) => columnFaults(version, place)),
      ...(version.feature === 'icebergCompatV2' ? nestedIdFaults(fields, design) : []),
    ])
}

function propertyFaults(
  { feature }: CompatVersion,
  { configuration, features }: IcebergDesign,
): string[] {
  const faults: string[] = []
  if (columnMappingMode(configuration) === 'none') {
    faults.push(`${feature} needs delta.columnMapping.mode "name" or "id"`)
  }
  if (feature === 'icebergCompatV1') {
    if (features.has('deletionVectors')) {
      faults.push(`${feature} excludes table feature deletionVectors; leave one of them out`)
    }
    return faults
  }
  if (features.has('deletionVectors') && isOn(configuration, 'delta.enableDeletionVectors')) {
    faults.push(`${feature} needs delta.enableDeletionVectors to be "false" or absent`)
  }
  if (icebergCompat({ configuration, features }).includes('icebergCompatV1')) {
    faults.push(`${feature} needs delta.enableIcebergCompatV1 to be "false" or absent`)
  }
  return faults
}

function columnFaults({ feature, unfitTypes }: CompatVersion, place: PlacedField): string[] {
  const { field, path } = place
  const unfit = [...typesIn(field.type)].find((name) => unfitTypes.has(name))
  const changes = readTypeChanges(field.metadata)?.filter((change) => !isKnownToIceberg(change))
  return [
    ...(unfit === undefined
      ? []
      : [`${feature} allows no type ${unfit}, which column ${quoted(path)} has`]),
    ...(changes ?? []).map(
      ({ fromType, toType }) =>
        `${feature} allows no change from ${fromType} to ${toType}, which column ${quoted(path)} tells`,
    ),
  ]
}

/** The names of a column's types down to structs, whose fields are columns of their own. */
function* typesIn(type: DataType): Generator<string> {
  yield typeof type === 'string' ? type : type.type
  for (const part of partsOf(type)) yield* typesIn(part.type)
}

function partsOf(type: DataType): { name: string; type: DataType }[] {
  if (typeof type === 'string' || type.type === 'struct') return []
  if (type.type === 'array') return [{ name: 'element', type: type.elementType }]
  return [
    { name: 'key', type: type.keyType },
    { name: 'value', type: type.valueType },
  ]
}

const integers = ['byte', 'short', 'integer']

/** Whether Iceberg knows a change of type (Iceberg's specification, "Schema Evolution"). */
function isKnownToIceberg({ fromType, toType }: TypeChange): boolean {
  if (integers.includes(fromType)) return [...integers, 'long'].includes(toType)
  const [from, to] = [parseDecimal(fromType), parseDecimal(toType)]
  if (from !== undefined && to !== undefined) return from.scale === to.scale
  return fromType === 'float' && toType === 'double'
}

const nestedIdsKey = 'delta.columnMapping.nested.ids'
const idMax = 2 ** 31 - 1

/** Elements, keys and values have ids too, which stand with the column that holds them. */
function nestedIdFaults(fields: readonly PlacedField[], { configuration }: IcebergDesign) {
  const mode = columnMappingMode(configuration)
  const taken = new Set(fields.map(({ field }) => columnId(field)))
  return fields.flatMap(({ field, path }) => {
    const ids = nestedIds(field)
    return [...nestedNames(field.type, physicalName(field, mode))].flatMap((name) => {
      const id = ids[name]
      const isId = typeof id === 'number' && Number.isInteger(id) && id >= 1 && id <= idMax
      if (!isId || taken.has(id)) {
        const what = isId ? `a number of its own instead of ${id}` : 'a whole number above 0'
        return [
          `icebergCompatV2 needs ${what} as ${quoted(name)} in ${nestedIdsKey} of column ${quoted(path)}`,
        ]
      }
      taken.add(id)
      return []
    })
  })
}

function nestedIds(field: StructField): Readonly<Record<string, unknown>> {
  const ids = field.metadata[nestedIdsKey]
  return typeof ids === 'object' && ids !== null ? { ...ids } : {}
}

function* nestedNames(type: DataType, prefix: string): Generator<string> {
  for (const part of partsOf(type)) {
    const name = `${prefix}.${part.name}`
    yield name
    yield* nestedNames(part.type, name)
  }
}
