import type { DataType, StructField } from '../../../src/delta/data-types.ts'
import {
  action,
  add,
  column,
  mapped,
  metadata,
  protocol,
  remove,
  stats,
  table,
} from '../support.ts'
import { type Case, type Expected, onTable } from './case.ts'

type Version = 1 | 2

/** A metaData that turns a compatibility on, with a mapped column `x` of a type. */
function iceberg(
  version: Version,
  type: DataType = 'long',
  {
    configuration = {},
    more = {},
    partitionColumns = [],
  }: {
    configuration?: Record<string, string>
    more?: Record<string, unknown>
    partitionColumns?: string[]
  } = {},
) {
  const fields: StructField[] = [
    column('id', 'long', mapped(1, 'id')),
    column('p', 'string', mapped(3, 'p')),
    column('x', type, { ...mapped(2, 'c'), ...more }),
  ]
  return {
    fields,
    partitionColumns,
    configuration: {
      'delta.columnMapping.mode': 'name',
      'delta.columnMapping.maxColumnId': '9',
      [`delta.enableIcebergCompatV${version}`]: 'true',
      ...configuration,
    },
  }
}

const features = (version: Version, ...more: string[]) => [
  'columnMapping',
  `icebergCompatV${version}`,
  ...more,
]

/** The metaData on a table that has the features for it. */
function turnedOn(
  name: string,
  version: Version,
  options: ReturnType<typeof iceberg>,
  ...expected: Expected[]
): Case {
  const has = features(version, 'timestampNtz', 'variantType', 'typeWidening')
  return onTable(
    `V${version}: ${name}`,
    [action('metaData', metadata(options)), action('protocol', protocol(...has))],
    table({ features: has }),
    ...expected,
  )
}

const invalid = (message: string | RegExp): Expected => ['iceberg-compat-invalid', 0, message]

const list = (elementType: DataType): DataType => ({
  type: 'array',
  elementType,
  containsNull: true,
})
const map = (keyType: DataType, valueType: DataType): DataType => ({
  ...{ type: 'map', keyType, valueType },
  valueContainsNull: true,
})
const nested = (ids: Record<string, unknown>) => ({
  more: { 'delta.columnMapping.nested.ids': ids },
})
const changed = (fromType: string, toType: string) => ({
  more: { 'delta.typeChanges': [{ fromType, toType }] },
})

const types = [
  turnedOn('plain columns', 1, iceberg(1)),
  turnedOn('an array', 1, iceberg(1, list('long')), invalid(/allows no type array, .* "x"/)),
  turnedOn('a map', 1, iceberg(1, map('long', 'long')), invalid(/allows no type map/)),
  turnedOn('a void column', 1, iceberg(1, 'void'), invalid(/allows no type void/)),
  turnedOn('plain columns', 2, iceberg(2)),
  turnedOn('a timestamp without a zone', 2, iceberg(2, 'timestamp_ntz')),
  turnedOn('a void column', 2, iceberg(2, 'void'), invalid(/allows no type void/)),
  turnedOn('a variant', 2, iceberg(2, 'variant'), invalid(/allows no type variant/)),
  turnedOn(
    'an array with an id for its elements',
    2,
    iceberg(2, list(list('long')), nested({ 'c.element': 5, 'c.element.element': 6 })),
  ),
  turnedOn(
    'a map with ids for keys and values',
    2,
    iceberg(2, map('long', 'string'), nested({ 'c.key': 5, 'c.value': 6 })),
  ),
  turnedOn(
    'an array without an id',
    2,
    iceberg(2, list('long')),
    invalid(/a whole number above 0 as "c.element"/),
  ),
  turnedOn(
    'an id by the logical name',
    2,
    iceberg(2, list('long'), nested({ 'x.element': 5 })),
    invalid(/as "c.element"/),
  ),
  turnedOn(
    'the id of a column again',
    2,
    iceberg(2, list('long'), nested({ 'c.element': 3 })),
    invalid(/a number of its own instead of 3/),
  ),
  turnedOn(
    'the same id for keys and values',
    2,
    iceberg(2, map('long', 'string'), nested({ 'c.key': 5, 'c.value': 5 })),
    invalid(/a number of its own instead of 5 as "c.value"/),
  ),
  turnedOn(
    'an id that is no number',
    2,
    iceberg(2, list('long'), nested({ 'c.element': '5' })),
    invalid(/a whole number above 0/),
  ),
]

const widenings = ([1, 2] as const).flatMap((version) => [
  ...(
    [
      ['short', 'integer'],
      ['integer', 'long'],
      ['float', 'double'],
      ['decimal(5,2)', 'decimal(9,2)'],
    ] as const
  ).map(([from, to]) =>
    turnedOn(`a change from ${from} to ${to}`, version, iceberg(version, to, changed(from, to))),
  ),
  ...(
    [
      ['integer', 'double'],
      ['date', 'timestamp_ntz'],
      ['integer', 'decimal(12,0)'],
      ['decimal(5,2)', 'decimal(9,3)'],
    ] as const
  ).map(([from, to]) =>
    turnedOn(
      `a change from ${from} to ${to}`,
      version,
      iceberg(version, to, changed(from, to)),
      invalid(
        `icebergCompatV${version} allows no change from ${from} to ${to}, which column "x" tells`,
      ),
    ),
  ),
])

const vectorsOn = { 'delta.enableDeletionVectors': 'true' }
const bothOn = { 'delta.enableIcebergCompatV1': 'true' }

function beside(name: string, version: Version, more: string[], ...rest: Expected[]): Case[] {
  const has = features(version, ...more)
  const configuration = name.includes('on') ? vectorsOn : {}
  return [
    onTable(
      `V${version}: deletion vectors ${name}`,
      [action('metaData', metadata(iceberg(version, 'long', { configuration })))],
      table({ features: has }),
      ...rest,
    ),
  ]
}

const properties: Case[] = [
  ...beside('supported', 1, ['deletionVectors'], invalid(/excludes table feature deletionVectors/)),
  ...beside('supported', 2, ['deletionVectors']),
  ...beside(
    'on',
    2,
    ['deletionVectors'],
    invalid(/needs delta.enableDeletionVectors to be "false"/),
  ),
  onTable(
    'V2: columns are not mapped',
    [action('metaData', metadata({ configuration: { 'delta.enableIcebergCompatV2': 'true' } }))],
    table({ features: features(2) }),
    invalid('icebergCompatV2 needs delta.columnMapping.mode "name" or "id"'),
  ),
  onTable(
    'V2: beside V1',
    [action('metaData', metadata(iceberg(2, 'long', { configuration: bothOn })))],
    table({ features: [...features(2), 'icebergCompatV1'] }),
    invalid(/icebergCompatV2 needs delta.enableIcebergCompatV1 to be "false" or absent/),
  ),
  onTable(
    'V1: the feature comes to a table that asks for it already',
    [action('protocol', protocol(...features(1)))],
    table({ ...iceberg(1, list('long')), features: ['columnMapping'] }),
    ['iceberg-compat-invalid', 0, /allows no type array/],
  ),
  onTable(
    'V1: off',
    [action('metaData', metadata({ fields: [column('id'), column('x', list('long'))] }))],
    table({ features: features(1) }),
  ),
]

function partitioned(name: string, version: Version, after: string[], ...expected: Expected[]) {
  const before = { ...iceberg(version, 'long', { partitionColumns: ['p'] }) }
  return onTable(
    `V${version}: ${name}`,
    [action('metaData', metadata({ ...before, partitionColumns: after }))],
    table({ ...before, features: features(version) }),
    ...expected,
  )
}

const partitions = ([1, 2] as const).flatMap((version) => [
  partitioned('the same partition columns', version, ['p']),
  partitioned(
    'other partition columns',
    version,
    ['id'],
    invalid(/needs the partition columns to stay "?p"?/),
  ),
  partitioned('no partition columns any more', version, [], invalid(/partition columns to stay/)),
])

const files = ([1, 2] as const).flatMap((version) => {
  const state = table({ ...iceberg(version), features: features(version), files: { old: null } })
  return [
    onTable(`V${version}: a file with a count`, [add('a', { stats: stats(3) })], state),
    onTable(`V${version}: a file without statistics`, [remove('old'), add('a')], state, [
      'iceberg-compat-without-records',
      1,
      `icebergCompatV${version} needs numRecords in the stats of every file that is added; give it`,
    ]),
    onTable(`V${version}: a file without a count`, [add('a', { stats: '{}' })], state, [
      'iceberg-compat-without-records',
      0,
    ]),
  ]
})

/** Tables that are to be readable as Iceberg. */
export const icebergCompatCases: readonly Case[] = [
  ...types,
  ...widenings,
  ...properties,
  ...partitions,
  ...files,
]
