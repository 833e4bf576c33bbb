import type { StructField } from '../../../src/delta/data-types.ts'
import { action, column, mapped, metadata, protocol, table } from '../support.ts'
import { type Case, onTable } from './case.ts'

/** What needs a feature, and what else the table must have for it. */
interface Use {
  feature: string
  beside?: string[]
  configuration?: Record<string, string>
  field?: StructField
}

const uses: Use[] = [
  { feature: 'appendOnly', configuration: { 'delta.appendOnly': 'true' } },
  {
    feature: 'invariants',
    field: column('x', 'long', { 'delta.invariants': '{"expression":{"expression":"x > 3"}}' }),
  },
  { feature: 'checkConstraints', configuration: { 'delta.constraints.positive': 'id > 0' } },
  { feature: 'changeDataFeed', configuration: { 'delta.enableChangeDataFeed': 'true' } },
  {
    feature: 'generatedColumns',
    field: column('x', 'long', { 'delta.generationExpression': 'id' }),
  },
  { feature: 'allowColumnDefaults', field: column('x', 'long', { CURRENT_DEFAULT: '7' }) },
  {
    feature: 'identityColumns',
    field: column('x', 'long', {
      'delta.identity.start': 1,
      'delta.identity.step': 1,
      'delta.identity.allowExplicitInsert': true,
    }),
  },
  {
    feature: 'columnMapping',
    field: column('x', 'long', mapped(2, 'x')),
    configuration: { 'delta.columnMapping.mode': 'name', 'delta.columnMapping.maxColumnId': '2' },
  },
  { feature: 'deletionVectors', configuration: { 'delta.enableDeletionVectors': 'true' } },
  {
    feature: 'rowTracking',
    beside: ['domainMetadata'],
    configuration: {
      'delta.enableRowTracking': 'true',
      'delta.rowTracking.materializedRowIdColumnName': '_r',
      'delta.rowTracking.materializedRowCommitVersionColumnName': '_v',
    },
  },
  ...['1', '2'].map((version) => ({
    feature: `icebergCompatV${version}`,
    beside: ['columnMapping'],
    configuration: {
      'delta.columnMapping.mode': 'name',
      'delta.columnMapping.maxColumnId': '1',
      [`delta.enableIcebergCompatV${version}`]: 'true',
    },
  })),
  { feature: 'timestampNtz', field: column('x', 'timestamp_ntz') },
  { feature: 'typeWidening', configuration: { 'delta.enableTypeWidening': 'true' } },
  { feature: 'variantType', field: column('x', 'variant') },
  {
    feature: 'variantShredding',
    beside: ['variantType'],
    configuration: { 'delta.enableVariantShredding': 'true' },
  },
  { feature: 'v2Checkpoint', configuration: { 'delta.checkpointPolicy': 'v2' } },
]

function metaDataOf({ configuration = {}, field }: Use) {
  const id = column('id', 'long', configuration['delta.columnMapping.mode'] ? mapped(1, 'id') : {})
  return action('metaData', metadata({ configuration, fields: field ? [id, field] : [id] }))
}

const used = uses.flatMap((use): Case[] => {
  const { feature, beside = [] } = use
  return [
    onTable(`${feature} in use, with the feature`, [
      metaDataOf(use),
      action('protocol', protocol(feature, ...beside)),
    ]),
    onTable(
      `${feature} in use, without the feature`,
      [metaDataOf(use)],
      table({ features: beside }),
      [
        'feature-missing',
        0,
        new RegExp(`^metaData needs table feature ${feature}, for .*; add it by a protocol action`),
      ],
    ),
  ]
})

const named: Case[] = [
  ...['domainMetadata', 'vacuumProtocolCheck', ...uses.map(({ feature }) => feature)].map(
    (feature) =>
      onTable(`${feature} by name`, [
        action(
          'protocol',
          protocol(feature, ...(uses.find((use) => use.feature === feature)?.beside ?? [])),
        ),
      ]),
  ),
  ...[
    ['catalogManaged', /catalogManaged is not supported by this service yet/],
    ['typeWidening-preview', /"typeWidening-preview" is not known to this service; supported are/],
  ].map(([feature, message]) =>
    onTable(
      `${feature} by name`,
      [action('protocol', protocol(String(feature), 'columnMapping'))],
      ['feature-unsupported', 0, message as RegExp],
    ),
  ),
  ...['clustering', 'rowTracking', 'variantShredding', 'icebergCompatV2'].map((feature) =>
    onTable(
      `${feature} without what it needs`,
      [action('protocol', protocol(feature))],
      [
        'protocol-features-invalid',
        0,
        new RegExp(
          `table feature ${feature} needs "(domainMetadata|variantType|columnMapping)" beside it`,
        ),
      ],
    ),
  ),
  onTable(
    'delta.enableIcebergCompatV3 in use',
    [action('metaData', metadata({ configuration: { 'delta.enableIcebergCompatV3': 'true' } }))],
    table({ features: ['columnMapping'] }),
    ['feature-unsupported', 0, /for "delta.enableIcebergCompatV3" is "true"; leave that out/],
  ),
  onTable(
    'a constraint of nothing',
    [action('metaData', metadata({ configuration: { 'delta.constraints.c': ' ' } }))],
    table({ features: ['checkConstraints'] }),
    ['configuration-invalid', 0, /delta.constraints.c must be a SQL expression/],
  ),
]

/** Table features: named, in use, missing, not supported. */
export const featureCases: readonly Case[] = [...used, ...named]
