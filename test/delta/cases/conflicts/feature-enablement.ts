import type { Metadata, Protocol } from '../../../../src/delta/actions.ts'
import type { StructField } from '../../../../src/delta/data-types.ts'
import { action, add, column, mapped, metadata, protocol, remove } from '../../support.ts'
import { type ConflictCase, everything, type GivenCase, suite } from './case.ts'

const title = 'FeatureEnablementConcurrencySuite'
const withFiles = suite(title, {
  level: 'Serializable',
  operation: 'DELETE',
  reads: { predicates: [everything], files: new Set(['a']) },
  actions: [remove('a'), add('b')],
})

/** The smallest protocol with the features and no other. */
function supporting(...features: string[]): Protocol {
  return { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: [], writerFeatures: features }
}

/** Metadata with these properties only. */
function having(configuration: Record<string, string>, more: Partial<Metadata> = {}): Metadata {
  return { ...metadata(more), configuration }
}

type Properties = Record<string, string>

interface Setting {
  before?: Properties
  after: Properties
  /** Features that the table has when the winner is in. */
  features?: string[]
}

function setting(
  name: string,
  { before = {}, after, features = [] }: Setting,
  more: Partial<GivenCase> = {},
): ConflictCase {
  const state = { protocol: supporting(), metadata: having(before) }
  const upgrade = features.length > 0 ? [action('protocol', supporting(...features))] : []
  const winners = [[...upgrade, action('metaData', having(after))]]
  return withFiles(name, { table: state, winners, ...more })
}

const refused = (...properties: string[]): Partial<GivenCase> => ({
  conflict: ['metadata-changed', { properties }],
})

const vectors = 'delta.enableDeletionVectors'
const policy = 'delta.checkpointPolicy'
const timestamps = 'delta.enableInCommitTimestamps'
const sinceVersion = 'delta.inCommitTimestampEnablementVersion'
const sinceTimestamp = 'delta.inCommitTimestampEnablementTimestamp'
const rowTracking = 'delta.enableRowTracking'
const tableId = 'io.unitycatalog.tableId'
const interval = 'delta.checkpointInterval'
const ict = ['inCommitTimestamp']

const check = (number: number) => `checkConfigurationChangesForConflicts, test ${number}`

/** Tests 1 to 4 give a list of what may be set; here properties stand for what is on it, and what is not. */
const configurationChanges: ConflictCase[] = [
  setting(
    check(1),
    {
      before: { [vectors]: 'false', [interval]: '10' },
      after: { [vectors]: 'true', [interval]: '20' },
      features: ['deletionVectors'],
    },
    refused(interval),
  ),
  setting(check(2), {
    before: { [vectors]: 'false', [policy]: 'classic' },
    after: { [vectors]: 'true', [policy]: 'v2' },
    features: ['deletionVectors', 'v2Checkpoint'],
  }),
  setting(check(3), {
    before: { [vectors]: 'false' },
    after: { [vectors]: 'true', [policy]: 'v2' },
    features: ['deletionVectors', 'v2Checkpoint'],
  }),
  setting(
    check(4),
    { before: { [vectors]: 'true' }, after: { [policy]: 'v2' }, features: ['v2Checkpoint'] },
    refused(vectors),
  ),
  setting(check(5), { after: { [policy]: 'v2' }, features: ['v2Checkpoint'] }),
  setting(
    check(6),
    { after: { [policy]: 'unknown-policy' }, features: ['v2Checkpoint'] },
    refused(policy),
  ),
  setting(check(7), { after: { [timestamps]: 'true' }, features: ict }),
  setting(check(8), { after: { [timestamps]: 'true' } }, refused(timestamps)),
  setting(check(9), { after: { [timestamps]: 'false' }, features: ict }, refused(timestamps)),
  setting(check(10), { after: { [sinceVersion]: '5' }, features: ict }),
  setting(
    check(11),
    { before: { [sinceVersion]: '3' }, after: { [sinceVersion]: '5' }, features: ict },
    refused(sinceVersion),
  ),
  setting(check(12), { after: { [sinceTimestamp]: '1000' }, features: ict }),
  setting(
    check(13),
    { before: { [sinceTimestamp]: '500' }, after: { [sinceTimestamp]: '1000' }, features: ict },
    refused(sinceTimestamp),
  ),
  setting(check(14), { after: { [tableId]: 'f0cf' }, features: ['catalogManaged'] }),
  setting(
    check(15),
    { before: { [tableId]: 'old' }, after: { [tableId]: 'new' }, features: ['catalogManaged'] },
    refused(tableId),
  ),
  setting(
    check(16),
    { after: { [tableId]: 'f0cf', [interval]: '20' }, features: ['catalogManaged'] },
    refused(interval),
  ),
]

/** Turned off by another value, and by no value. */
function disabled(name: string, key: string, values: readonly [on: string, off: string]) {
  const [on, off] = values
  return [
    setting(
      `Disable ${name} - withUnset: false`,
      { before: { [key]: on }, after: { [key]: off } },
      refused(key),
    ),
    setting(
      `Disable ${name} - withUnset: true`,
      { before: { [key]: on }, after: {} },
      refused(key),
    ),
  ]
}

const blind = { reads: {}, actions: [add('c')] }

const features: ConflictCase[] = [
  setting('Enable row tracking feature concurrent txn: delete', {
    after: {
      [rowTracking]: 'true',
      'delta.rowTracking.materializedRowIdColumnName': '_row-id-col-1',
      'delta.rowTracking.materializedRowCommitVersionColumnName': '_row-commit-version-col-1',
    },
    features: ['rowTracking', 'domainMetadata'],
  }),
  setting(
    'Enable row tracking feature concurrent txn: alterTableProperty',
    { after: { [rowTracking]: 'true' }, features: ['rowTracking', 'domainMetadata'] },
    {
      actions: [action('metaData', having({ [vectors]: 'true' }))],
      conflict: ['metadata-changed', {}],
    },
  ),
  setting(
    'row tracking columns are named without row tracking',
    { after: { 'delta.rowTracking.materializedRowIdColumnName': '_row-id-col-1' } },
    refused('delta.rowTracking.materializedRowIdColumnName'),
  ),
  ...disabled('row tracking feature', rowTracking, ['true', 'false']),
  setting('v2Checkpoint enablement win: concurrent DML rebases', {
    after: { [policy]: 'v2' },
    features: ['v2Checkpoint'],
  }),
  ...disabled('v2Checkpoint feature', policy, ['v2', 'classic']),
  setting('Enable deletion vectors feature', {
    before: { [vectors]: 'false' },
    after: { [vectors]: 'true' },
    features: ['deletionVectors'],
  }),
  ...disabled('Deletion Vectors feature', vectors, ['true', 'false']),
]

const enableTimestamps = {
  after: { [timestamps]: 'true', [sinceVersion]: '5', [sinceTimestamp]: '1000' },
  features: ict,
}

const inCommitTimestamps: ConflictCase[] = [
  setting('Enable ICT feature - DML succeeds when interleaved', enableTimestamps),
  setting('Enable ICT feature - Insert (blind append) interleaved', enableTimestamps, blind),
  ...disabled('ICT feature', timestamps, ['true', 'false']),
  setting(
    'Enable ICT feature - DML fails when ICT enablement also modifies non-allowlisted config',
    { ...enableTimestamps, after: { ...enableTimestamps.after, [interval]: '20' } },
    refused(interval),
  ),
  setting('Enable ICT feature - metadata-changing loser fails', enableTimestamps, {
    actions: [action('metaData', having({ [interval]: '20' }))],
    conflict: ['metadata-changed', {}],
  }),
  setting('Enable ICT feature - protocol-changing loser fails', enableTimestamps, {
    actions: [
      action('protocol', supporting('deletionVectors')),
      action('metaData', having({ [vectors]: 'true' })),
    ],
    conflict: ['protocol-changed', {}],
  }),
]

const mode = 'delta.columnMapping.mode'
const highestId = 'delta.columnMapping.maxColumnId'
const mapping = { [mode]: 'name', [highestId]: '1' }

/** A winner that replaces the columns and properties of a table with the column `id`. */
function mapsColumns(
  name: string,
  { fields, properties = mapping }: { fields: StructField[]; properties?: Properties },
  more: Partial<GivenCase> = {},
): ConflictCase {
  const state = { protocol: supporting(), metadata: having({}) }
  const upgrade = action('protocol', supporting('columnMapping'))
  const winners = [[upgrade, action('metaData', having(properties, { ...metadata({ fields }) }))]]
  return withFiles(name, { table: state, winners, ...more })
}

const columnMapping: ConflictCase[] = [
  mapsColumns('Enable column mapping feature - txnInterleaved: true', {
    fields: [column('id', 'long', mapped(1, 'id'))],
  }),
  mapsColumns(
    'Enable column mapping and add a column',
    { fields: [column('id', 'long', mapped(1, 'id')), column('x', 'long', mapped(2, 'x'))] },
    { conflict: ['metadata-changed', { fields: ['schemaString'] }] },
  ),
  mapsColumns(
    'Enable column mapping and comment a column',
    { fields: [column('id', 'long', { ...mapped(1, 'id'), comment: 'key' })] },
    { conflict: ['metadata-changed', { fields: ['schemaString'] }] },
  ),
  mapsColumns(
    'Enable column mapping and change a type',
    { fields: [column('id', 'string', mapped(1, 'id'))] },
    { conflict: ['metadata-changed', { fields: ['schemaString'] }] },
  ),
  setting('Enable column mapping without its feature', { after: mapping }, refused(mode)),
  mapsColumns(
    'Enable column mapping by id',
    {
      fields: [column('id', 'long', mapped(1, 'id'))],
      properties: { ...mapping, [mode]: 'id' },
    },
    { conflict: ['metadata-changed', { fields: ['schemaString'], properties: [mode] }] },
  ),
  ...['name', 'id'].map((before) =>
    setting(
      `Removing column mapping mode produces conflict - startMode: ${before}`,
      { before: { [mode]: before }, after: { [mode]: 'none' } },
      refused(mode),
    ),
  ),
]

const [metadataA, metadataB]: Metadata[] = [
  metadata({ name: 'a', description: 'a', createdTime: 1, format: { provider: 'parquet' } }),
  metadata({ name: 'b', description: null, createdTime: 2, partitionColumns: ['id'], id: 'b' }),
]

const differences: ConflictCase[] = [
  withFiles('Validate Metadata diff', {
    table: { protocol: protocol(), metadata: { ...metadata(), ...metadataA } },
    winners: [[action('metaData', { ...metadata(), ...metadataB })]],
    conflict: [
      'metadata-changed',
      { fields: ['id', 'name', 'description', 'partitionColumns', 'createdTime'] },
    ],
  }),
  withFiles('Validate Metadata diff: absent and default are the same', {
    table: {
      protocol: protocol(),
      metadata: { ...metadata(), name: null, format: { provider: 'parquet' } },
    },
    winners: [[action('metaData', metadata())]],
  }),
]

export const featureEnablementCases = [
  ...configurationChanges,
  ...features,
  ...inCommitTimestamps,
  ...columnMapping,
  ...differences,
]
