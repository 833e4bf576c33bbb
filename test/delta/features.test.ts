import t from 'tap'
import type { StructField, StructType } from '../../src/delta/data-types.ts'
import { featureNeeds, missingFeatures, withDependencies } from '../../src/delta/feature-needs.ts'
import {
  featureFault,
  findFeature,
  supportedFeatures,
  tableFeatures,
} from '../../src/delta/features.ts'
import { column } from './support.ts'

const struct = (...fields: StructField[]): StructType => ({ type: 'struct', fields })
const plain = struct(column('id'))

t.test('the catalogue holds the features of the protocol', async (t) => {
  t.equal(tableFeatures.size, 22)
  const unsupported = [...tableFeatures.values()].filter((feature) => !feature.isSupported)
  t.same(
    unsupported.map((feature) => feature.name),
    ['catalogManaged'],
  )
  for (const feature of tableFeatures.values()) {
    for (const name of feature.needs) t.ok(tableFeatures.has(name), `${feature.name} → ${name}`)
  }
  t.equal(findFeature('TIMESTAMPNTZ')?.name, 'timestampNtz')
  t.equal(findFeature('x'), undefined)
})

t.test('a feature that the service cannot handle is refused by name', async (t) => {
  t.equal(featureFault('appendOnly'), undefined)
  t.match(featureFault('catalogManaged'), /catalogManaged is not supported by this service yet/)
  t.match(featureFault('constructor'), /"constructor" is not known to this service; supported are /)
})

t.test('old versions imply features', async (t) => {
  const implied = (minReaderVersion: number, minWriterVersion: number) =>
    [...supportedFeatures({ minReaderVersion, minWriterVersion })].sort()
  t.same(implied(1, 1), [])
  t.same(implied(1, 2), ['appendOnly', 'invariants'])
  t.same(implied(1, 3), ['appendOnly', 'checkConstraints', 'invariants'])
  t.same(implied(1, 4).length, 5)
  t.notOk(implied(1, 5).includes('columnMapping'))
  t.ok(implied(2, 5).includes('columnMapping'))
  t.ok(implied(2, 6).includes('identityColumns'))
  t.same(implied(3, 7), [])
  const named = { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: ['a'] }
  t.same([...supportedFeatures({ ...named, writerFeatures: ['b'] })], ['b', 'a'])
  t.same([...supportedFeatures({ ...named, readerFeatures: null })], [])
})

t.test('schemas and properties need features', async (t) => {
  const inner = struct(column('x', 'timestamp_ntz'))
  const map = {
    type: 'map',
    keyType: 'string',
    valueType: 'variant',
    valueContainsNull: true,
  } as const
  const cases: readonly [feature: string, fields: StructField[], configuration: object][] = [
    ['appendOnly', [], { 'delta.appendOnly': 'true' }],
    ['changeDataFeed', [], { 'delta.enableChangeDataFeed': 'true' }],
    ['checkConstraints', [], { 'delta.constraints.c': 'id > 0' }],
    ['columnMapping', [], { 'delta.columnMapping.mode': 'name' }],
    ['columnMapping', [], { 'delta.columnMapping.mode': 'id' }],
    ['deletionVectors', [], { 'delta.enableDeletionVectors': 'true' }],
    ['icebergCompatV3', [], { 'delta.enableIcebergCompatV3': 'true' }],
    ['inCommitTimestamp', [], { 'delta.enableInCommitTimestamps': 'true' }],
    [
      'materializePartitionColumns',
      [],
      { 'delta.enableMaterializePartitionColumnsFeature': 'true' },
    ],
    ['typeWidening', [], { 'delta.enableTypeWidening': 'true' }],
    ['v2Checkpoint', [], { 'delta.checkpointPolicy': 'v2' }],
    ['vacuumProtocolCheck', [], { 'delta.feature.vacuumprotocolcheck': 'supported' }],
    ['nonsense', [], { 'delta.feature.nonsense': 'supported' }],
    ['invariants', [column('a', 'long', { 'delta.invariants': '{}' })], {}],
    ['invariants', [{ ...column('a'), nullable: false }], {}],
    ['invariants', [column('a', struct({ ...column('b'), nullable: false }))], {}],
    ['generatedColumns', [column('a', 'long', { 'delta.generationExpression': 'b' })], {}],
    ['allowColumnDefaults', [column('a', 'long', { CURRENT_DEFAULT: '1' })], {}],
    ['identityColumns', [column('a', 'long', { 'delta.identity.start': 1 })], {}],
    ['typeWidening', [column('a', 'long', { 'delta.typeChanges': [] })], {}],
    ['timestampNtz', [column('a', 'timestamp_ntz')], {}],
    ['timestampNtz', [column('a', inner)], {}],
    ['timestampNtz', [column('a', { type: 'array', elementType: inner, containsNull: true })], {}],
    ['variantType', [column('a', map)], {}],
  ]
  for (const [feature, fields, configuration] of cases) {
    const needs = featureNeeds(struct(...fields), configuration as Record<string, string>)
    t.same([...new Set(needs.map((need) => need.feature))], [feature], feature)
  }
})

t.test('what is off, or only looks like a property, needs nothing', async (t) => {
  const configuration = {
    'delta.appendOnly': 'false',
    'delta.columnMapping.mode': 'none',
    'delta.checkpointPolicy': 'classic',
    constructor: 'true',
    ['__proto__']: 'true',
  }
  t.same(featureNeeds(struct(column('a', 'long', { constructor: 1 })), configuration), [])
  const elementType = struct({ ...column('x'), nullable: false })
  const list = column('a', { type: 'array', elementType, containsNull: false })
  t.same(featureNeeds(struct(list), {}), [], 'Spark holds no more of what lies in lists')
})

t.test('features bring those that they need, with the reason', async (t) => {
  t.match(featureNeeds(plain, { 'delta.enableVariantShredding': 'true' }), [
    { feature: 'variantShredding', because: '"delta.enableVariantShredding" is "true"' },
    { feature: 'variantType', because: 'table feature variantShredding needs it' },
  ])
  const twice = { feature: 'clustering', pointer: '', because: 'x' }
  t.same(
    withDependencies([twice, twice]).map((need) => need.feature),
    ['clustering', 'domainMetadata'],
  )
})

t.test('a need is told with its place and reason', async (t) => {
  const schema = struct(column('a', struct(column('b', 'variant'))))
  t.same(featureNeeds(schema, { 'delta.appendOnly': 'true' }), [
    {
      feature: 'appendOnly',
      pointer: '/configuration/delta.appendOnly',
      because: '"delta.appendOnly" is "true"',
    },
    {
      feature: 'variantType',
      pointer: '/schema/fields/0/type/fields/0',
      because: 'column "a.b" has type variant',
    },
  ])
})

t.test('missing are the features that the protocol does not have', async (t) => {
  const configuration = { 'delta.appendOnly': 'true', 'delta.enableChangeDataFeed': 'true' }
  const missing = (minWriterVersion: number) =>
    missingFeatures({ minReaderVersion: 1, minWriterVersion }, plain, configuration).map(
      (need) => need.feature,
    )
  t.same(missing(1), ['appendOnly', 'changeDataFeed'])
  t.same(missing(2), ['changeDataFeed'])
  t.same(missing(4), [])
  t.same(missing(7), ['appendOnly', 'changeDataFeed'])
})
