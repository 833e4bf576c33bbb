import type { Metadata, Protocol } from '../../../src/delta/actions.ts'
import { deletionVectorId } from '../../../src/delta/deletion-vectors.ts'
import {
  action,
  add,
  column,
  mapped,
  metadata,
  protocol,
  remove,
  schemaString,
  table,
  vector,
} from '../support.ts'
import { type Case, type Expected, onNothing, onTable } from './case.ts'

const metaData = (...given: Parameters<typeof metadata>) => action('metaData', metadata(...given))
const changed = (more: Partial<Metadata>) => [action('metaData', { ...metadata(), ...more })]
const upgrade = (value: Protocol) => [action('protocol', value)]

const first: Case[] = [
  onNothing('a first version', [action('protocol', protocol()), metaData()]),
  onNothing('a first version with files', [action('protocol', protocol()), metaData(), add('a')]),
  onNothing('a first version with nothing', [], ['metadata-missing', 0], ['protocol-missing', 0]),
  onNothing('a first version without a protocol', [metaData(), add('a')], ['protocol-missing', 2]),
  onNothing(
    'a first version without metadata',
    [action('protocol', protocol()), add('', { partitionValues: { x: '1' } })],
    ['path-empty', 1],
    ['metadata-missing', 2],
  ),
  onTable('nothing', []),
]

const changes: Case[] = [
  onTable('new metadata', [metaData({ name: 'n', description: null, createdTime: 5 })]),
  onTable(
    'two of them',
    [metaData(), metaData(), metaData()],
    ['duplicate-metadata', 1],
    ['duplicate-metadata', 2, /actions\[0\]/],
  ),
  onTable('no id', changed({ id: '' }), ['metadata-id-empty', 0]),
  onTable('a name with a NUL', changed({ name: '\0' }), ['text-not-storable', 0, /^metaData name/]),
  onTable('another format', changed({ format: { provider: 'orc' } }), ['format-unsupported', 0]),
  onTable(
    'a time that is no long',
    [
      action(
        'metaData',
        metadata({ createdTime: 1 }),
        JSON.stringify({ metaData: metadata({ createdTime: 1 }) }).replace(
          '"createdTime":1',
          '"createdTime":1.0',
        ),
      ),
    ],
    ['long-invalid', 0, /^createdTime/],
  ),
  onTable('a schema that is no JSON', changed({ schemaString: '{' }), [
    'schema-invalid',
    0,
    /^metaData schemaString is not JSON/,
  ]),
  onTable(
    'a schema with two faults',
    changed({ schemaString: schemaString(column('', 'int')) }),
    ['schema-invalid', 0, /^metaData schemaString at \/fields\/0\/name must not be empty/],
    ['schema-invalid', 0, /at \/fields\/0\/type "int" is not a type/],
  ),
  onTable(
    'a schema with a member twice',
    changed({
      schemaString: schemaString(column('id')).replace('"nullable"', '"nullable":false,"nullable"'),
    }),
    ['schema-invalid', 0, /^metaData schemaString has the same member twice/],
  ),
  onTable(
    'a schema with half a surrogate pair',
    changed({ schemaString: schemaString(column('id', 'long', { comment: '\udfff' })) }),
    ['schema-invalid', 0, /half a surrogate pair/],
  ),
  onTable('a partition column that is not there', changed({ partitionColumns: ['x'] }), [
    'partition-columns-invalid',
    0,
    /"x" is not a column of the schema/,
  ]),
  onTable(
    'a property that cannot be read',
    [metaData({ configuration: { 'delta.appendOnly': 'no' } })],
    ['configuration-invalid', 0, /delta.appendOnly must be "true" or "false", not "no"/],
  ),
  onTable(
    'in-commit timestamps off',
    [metaData({ configuration: { 'delta.enableInCommitTimestamps': 'false' } })],
    ['in-commit-timestamps-off', 0],
  ),
  onTable('in-commit timestamps left out', changed({ configuration: {} }), [
    'in-commit-timestamps-off',
    0,
  ]),
  onTable(
    'no configuration',
    [action('metaData', withoutConfiguration())],
    ['in-commit-timestamps-off', 0],
  ),
  onTable(
    'a property without its feature',
    [metaData({ configuration: { 'delta.enableChangeDataFeed': 'true' } })],
    [
      'feature-missing',
      0,
      'metaData needs table feature changeDataFeed, for "delta.enableChangeDataFeed" is "true"; add it by a protocol action in the same commit',
    ],
  ),
  onTable('a property with its feature', [
    metaData({ configuration: { 'delta.enableChangeDataFeed': 'true' } }),
    ...upgrade(protocol('changeDataFeed')),
  ]),
  onTable(
    'a column without its feature',
    [metaData({ fields: [column('id'), column('t', 'timestamp_ntz')] })],
    ['feature-missing', 0, /timestampNtz/],
  ),
  onTable(
    'a feature asked for in metadata',
    [metaData({ configuration: { 'delta.feature.domainmetadata': 'supported' } })],
    ['feature-missing', 0, /domainMetadata/],
  ),
]

function withoutConfiguration(...given: Parameters<typeof metadata>): Metadata {
  const { configuration: _, ...rest } = metadata(...given)
  return rest
}

const byDate = { fields: [column('id'), column('date', 'date')], partitionColumns: ['date'] }
const byId = { ...byDate, partitionColumns: ['id'] }
const files = { a: null, b: deletionVectorId(vector('b')) }
const removals = [remove('a'), remove('b', { deletionVector: vector('b') })]

const partitioning: Case[] = [
  onTable('other partition columns of a table without properties', [metaData(byId)], {
    ...table(byDate),
    metadata: withoutConfiguration(byDate),
  }),
  onTable('other partition columns of an empty table', [metaData(byId)], table(byDate)),
  onTable('the same partition columns', [metaData(byDate)], table({ ...byDate, files })),
  onTable(
    'other partition columns while files remain',
    [metaData(byId), remove('a')],
    table({ ...byDate, files }),
    ['partition-columns-changed', 0, /removes every file; the table has 2/],
  ),
  onTable(
    'other partition columns with every file removed',
    [metaData(byId), ...removals],
    table({ ...byDate, files }),
  ),
  onTable(
    'other partition columns with a wrong vector removed',
    [metaData(byId), remove('a'), remove('b')],
    table({ ...byDate, files }),
    ['partition-columns-changed', 0],
  ),
  onTable(
    'new files by the new partition columns',
    [
      metaData(byId),
      remove('a'),
      add('c', { partitionValues: { id: '7' } }),
      add('d', { partitionValues: { date: '2024-01-01' } }),
    ],
    table({ ...byDate, files: { a: null } }),
    ['partition-columns-mismatch', 3],
  ),
  onTable(
    'partition columns of a clustered table',
    [metaData(byDate)],
    table({ features: ['clustering', 'domainMetadata'] }),
    ['clustering-with-partitions', 0],
  ),
  onTable(
    'clustering of a partitioned table',
    [
      add('a', { partitionValues: { date: null } }),
      ...upgrade(protocol('clustering', 'domainMetadata')),
    ],
    table(byDate),
    ['clustering-with-partitions', 1],
  ),
  onTable(
    'clustering without partition columns',
    upgrade(protocol('clustering', 'domainMetadata')),
  ),
]

const mapping = { 'delta.columnMapping.mode': 'name', 'delta.columnMapping.maxColumnId': '2' }
const mappedFields = [
  column('id', 'long', mapped(1, 'c1')),
  column('date', 'date', mapped(2, 'c2')),
]
const mappedTable = table({
  fields: mappedFields,
  partitionColumns: ['date'],
  configuration: mapping,
  features: ['columnMapping'],
  files,
})
const renamed = [column('id', 'long', mapped(1, 'c1')), column('the day', 'date', mapped(2, 'c2'))]

const columnMapping: Case[] = [
  onTable(
    'a partition column renamed',
    [metaData({ fields: renamed, partitionColumns: ['the day'], configuration: mapping })],
    mappedTable,
  ),
  onTable('column mapping turned on', [
    metaData({ fields: mappedFields, configuration: mapping }),
    ...upgrade(protocol('columnMapping')),
  ]),
  onTable(
    'column mapping without ids',
    [metaData({ configuration: mapping }), ...upgrade(protocol('columnMapping'))],
    ['column-mapping-invalid', 0, /column "id" needs a whole number/],
    ['column-mapping-invalid', 0],
  ),
  onTable(
    'column mapping turned off',
    [metaData({ fields: mappedFields, partitionColumns: ['date'] })],
    mappedTable,
    ['column-mapping-invalid', 0, /cannot change from name to none/],
    ['partition-columns-changed', 0],
  ),
]

const mappedAs = (...fields: Parameters<typeof mapped>[]) =>
  metaData({
    fields: fields.map(([id, name]) =>
      column(name === 'c2' ? 'date' : `n${id}`, name === 'c2' ? 'date' : 'long', mapped(id, name)),
    ),
    partitionColumns: ['date'],
    configuration: { ...mapping, 'delta.columnMapping.maxColumnId': '9' },
  })
const unsafe = (message: RegExp): Expected => ['schema-change-unsafe', 0, message]

const mappedChanges: Case[] = [
  onTable('columns renamed, added and dropped', [mappedAs([2, 'c2'], [3, 'c3'])], mappedTable),
  onTable(
    'a column with another physical name',
    [mappedAs([1, 'other'], [2, 'c2'])],
    mappedTable,
    unsafe(/must keep the delta.columnMapping.physicalName "c1", not "other"/),
  ),
  onTable(
    'a column with another id',
    [mappedAs([5, 'c1'], [2, 'c2'])],
    mappedTable,
    unsafe(/physicalName of another before it/),
  ),
  onTable(
    'a new column with the id of a dropped one',
    [mappedAs([2, 'c2'], [3, 'c3'])],
    {
      ...mappedTable,
      metadata: {
        ...mappedTable.metadata,
        configuration: {
          ...mappedTable.metadata.configuration,
          'delta.columnMapping.maxColumnId': '3',
        },
      },
    },
    unsafe(/must have a delta.columnMapping.id above 3/),
  ),
  onTable(
    'column mapping turned on with the names that files know',
    [
      metaData({ fields: [column('id', 'long', mapped(1, 'id'))], configuration: mapping }),
      ...upgrade(protocol('columnMapping')),
    ],
    table({ files }),
  ),
  onTable(
    'column mapping turned on with names that no file knows',
    [
      metaData({ fields: [column('id', 'long', mapped(1, 'c1'))], configuration: mapping }),
      ...upgrade(protocol('columnMapping')),
    ],
    table({ files }),
    unsafe(/"id" must have its name as delta.columnMapping.physicalName/),
  ),
]

const timestamps = {
  'delta.inCommitTimestampEnablementVersion': '3',
  'delta.inCommitTimestampEnablementTimestamp': '1700000000000',
}
const enablement: Case[] = [
  onTable(
    'when in-commit timestamps began',
    [metaData({ configuration: timestamps })],
    table({ configuration: timestamps }),
  ),
  onTable(
    'another beginning of in-commit timestamps',
    [metaData({ configuration: timestamps })],
    ['in-commit-timestamps-off', 0, /EnablementVersion must stay absent/],
    ['in-commit-timestamps-off', 0],
  ),
  onTable(
    'a property of a feature that the service cannot handle',
    [metaData({ configuration: { 'delta.enableIcebergCompatV3': 'true' } })],
    ['feature-unsupported', 0, /"icebergCompatV3" is not known/],
  ),
]

/** First versions and metaData actions. */
export const metadataCases: readonly Case[] = [
  ...first,
  ...changes,
  ...partitioning,
  ...columnMapping,
  ...mappedChanges,
  ...enablement,
]
