import { action, add, cdc, column, feedingTable, mapped, remove, stats, table } from '../support.ts'
import { type Case, type Expected, onTable } from './case.ts'

const partitioned = feedingTable({
  fields: [column('id'), column('date', 'date'), column('n', 'integer')],
  partitionColumns: ['date', 'n'],
})

const mappedTable = table({
  fields: [column('id', 'long', mapped(1, 'c1')), column('date', 'date', mapped(2, 'c2'))],
  partitionColumns: ['date'],
  configuration: { 'delta.columnMapping.mode': 'name', 'delta.columnMapping.maxColumnId': '2' },
  features: ['columnMapping'],
})

const identity: Case[] = [
  onTable(
    'the same file added twice',
    [add('a%20b'), add('c'), add('a b', { size: 3 })],
    ['duplicate-add', 2, /"a b" is added already by actions\[0\]/],
  ),
  onTable(
    'the same file removed twice',
    [remove('a'), remove('a'), remove('a')],
    ['duplicate-remove', 1],
    ['duplicate-remove', 2, /actions\[0\]/],
  ),
  onTable(
    'the same file added and removed',
    [remove('a'), add('a')],
    ['add-and-remove', 1, /actions\[0\]/],
  ),
  onTable(
    'the same file removed after it is added',
    [add('a'), remove('a')],
    ['add-and-remove', 1],
  ),
  onTable(
    'the same file as data and as change data',
    [add('a'), cdc('a'), cdc('a')],
    feedingTable(),
  ),
  onTable(
    'a live file added again',
    [add('a', { tags: { x: '1' } })],
    table({ files: { a: null } }),
  ),
  onTable('a file removed that was never added', [remove('zzz')]),
  onTable(
    'a live file removed and another added',
    [remove('a'), add('b')],
    table({ files: { a: null } }),
  ),
  onTable(
    'a live file with a vector added without it',
    [add('a')],
    table({ files: { a: 'uX@1' } }),
    [
      'file-already-live',
      0,
      /is in the table at version 4 with deletion vector "uX@1"; remove that .* no deletion vector/,
    ],
  ),
]

const partitions: Case[] = [
  onTable(
    'partition values of every column',
    [
      add('a', { partitionValues: { date: '2024-01-01', n: '1' } }),
      cdc('b', { partitionValues: { n: null, date: '' } }),
    ],
    partitioned,
  ),
  onTable(
    'a partition value missing',
    [add('a', { partitionValues: { date: '2024-01-01' } })],
    partitioned,
    ['partition-columns-mismatch', 0, /expected "date", "n", found "date"$/],
  ),
  onTable(
    'a partition value too many',
    [cdc('a', { partitionValues: { x: '1' } })],
    feedingTable(),
    ['partition-columns-mismatch', 0, /expected none, found "x"/],
  ),
  onTable(
    'another partition column',
    [add('a', { partitionValues: { date: null, N: '1' } })],
    partitioned,
    ['partition-columns-mismatch', 0],
  ),
  onTable(
    'partition values that are not of their types',
    [add('a', { partitionValues: { date: 'yesterday', n: '1.5' } })],
    partitioned,
    [
      'partition-value-invalid',
      0,
      /"yesterday" cannot be read as date for partition column "date"; write a date such as 2024-01-31, or null/,
    ],
    ['partition-value-invalid', 0, /"1.5" cannot be read as integer/],
  ),
  onTable(
    'a partition value with a NUL',
    [add('a', { partitionValues: { date: '\0', n: null } })],
    partitioned,
    ['text-not-storable', 0],
  ),
  onTable(
    'partition values of a remove are not asked for',
    [remove('a', { partitionValues: {} })],
    partitioned,
  ),
  onTable(
    'partition values by physical names',
    [add('a', { partitionValues: { c2: '2024-01-01' } })],
    mappedTable,
  ),
  onTable(
    'partition values by names where columns are mapped',
    [add('a', { partitionValues: { date: '2024-01-01' } })],
    mappedTable,
    ['partition-columns-mismatch', 0],
  ),
  onTable(
    'partition values of the wrong type by physical names',
    [add('a', { partitionValues: { c2: 'x' } })],
    mappedTable,
    ['partition-value-invalid', 0],
  ),
  onTable(
    'a property without its feature maps no columns',
    [add('a', { partitionValues: { date: '2024-01-01' } })],
    { ...mappedTable, protocol: table().protocol },
  ),
  onTable(
    'partition columns of a schema that cannot be read',
    [add('a', { partitionValues: { x: 'anything' } })],
    { ...table(), metadata: { ...table().metadata, schemaString: '{', partitionColumns: ['x'] } },
  ),
]

const statistics: Case[] = [
  onTable('statistics', [
    add('a', { stats: stats(3) }),
    add('b', { stats: null }),
    remove('c', { stats: '{}' }),
  ]),
  onTable(
    'statistics that are no object',
    [add('a', { stats: '[]' }), remove('b', { stats: '' })],
    ['stats-invalid', 0],
    ['stats-invalid', 1],
  ),
  onTable(
    'statistics with a record count that is no count',
    ['1.5', '-1', '10.0', '1e1', '"1"'].map((count) =>
      add(`a${count}`, { stats: `{"x":1.5,"numRecords":${count}}` }),
    ),
    ...[0, 1, 2, 3, 4].map((at): Expected => ['stats-invalid', at, /plain digits as numRecords/]),
  ),
  onTable('statistics with members in any order, spaced, escaped and nested', [
    add('a', {
      stats: `{ "minValues" : {"a":{"b":1.5},${JSON.stringify('":')}:":"}, "numRecords" : 3, "nullCount":null }`,
    }),
    add('b', { stats: '{"numRecords":3,"tightBounds":false,"maxValues":{"a":"\\ud83d\\ude00"}}' }),
  ]),
  onTable(
    'statistics with a member twice',
    [
      add('a', { stats: '{"numRecords":3,"numRecords":4}' }),
      add('b', { stats: '{"numRecords":3,"minValues":{"a" :1,"a":2}}' }),
      remove('c', { stats: '{"minValues":{"a":":","\\u0061":2}}' }),
    ],
    ['stats-invalid', 0, /^stats has the same member twice/],
    ['stats-invalid', 1],
    ['stats-invalid', 2],
  ),
  onTable(
    'statistics with half a surrogate pair',
    [
      add('a', { stats: '{"minValues":{"a":"\\ud800"}}' }),
      add('b', { stats: '{"maxValues":{"\\udc00":1}}' }),
      add('c', { stats: '{"maxValues":["\ud800"]}' }),
    ],
    ['stats-invalid', 0, /^stats holds half a surrogate pair/],
    ['stats-invalid', 1],
    ['stats-invalid', 2],
  ),
  onTable(
    'statistics of other shapes',
    [
      add('a', { stats: '{"tightBounds":"yes"}' }),
      add('b', { stats: '{"minValues":[]}' }),
      add('c', { stats: '{"nullCount":1}' }),
    ],
    ['stats-invalid', 0, /true or false as tightBounds/],
    ['stats-invalid', 1, /an object as minValues/],
    ['stats-invalid', 2, /an object as nullCount/],
  ),
]

const others: Case[] = [
  onTable('extended metadata that is there', [
    remove('a', { extendedFileMetadata: true, partitionValues: {}, size: 1 }),
  ]),
  onTable(
    'extended metadata that is not there',
    [remove('a', { extendedFileMetadata: true, size: null })],
    ['extended-metadata-missing', 0, /partitionValues and size is missing/],
  ),
  onTable('extended metadata that is not claimed', [remove('a', { extendedFileMetadata: false })]),
  onTable('change data that changes data', [cdc('a', { dataChange: true })], feedingTable(), [
    'cdc-data-change',
    0,
    /^cdc dataChange must be false/,
  ]),
  onTable('change data without a feed', [cdc('a')], ['cdc-off', 0, /has no change data feed; set/]),
  onTable(
    'change data where the feature is not turned on',
    [cdc('a')],
    table({ features: ['changeDataFeed'] }),
    ['cdc-off', 0],
  ),
  onTable('change data in the commit that turns the feed on', [
    cdc('a'),
    action('protocol', feedingTable().protocol),
    action('metaData', feedingTable().metadata),
  ]),
  onTable(
    'a remove from an append-only table',
    [remove('a'), remove('b', { dataChange: false }), add('c')],
    table({ configuration: { 'delta.appendOnly': 'true' }, features: ['appendOnly'] }),
    ['append-only', 0],
  ),
  onTable(
    'a remove where append-only is off',
    [remove('a')],
    table({ configuration: { 'delta.appendOnly': 'false' }, features: ['appendOnly'] }),
  ),
  onTable(
    'a remove where append-only has no feature',
    [remove('a')],
    table({ configuration: { 'delta.appendOnly': 'true' } }),
  ),
  onTable(
    'a file for void columns alone',
    [add('a'), add('b')],
    table({ fields: [column('v', 'void')] }),
    ['void-not-writable', 0],
  ),
  onTable(
    'a file that is there already for void columns alone',
    [add('a'), add('b')],
    table({ fields: [column('v', 'void')], files: { a: null } }),
    ['void-not-writable', 1],
  ),
  onTable(
    'no new file for void columns alone',
    [add('a'), remove('b')],
    table({ fields: [column('v', 'void')], files: { a: null } }),
  ),
  onTable(
    'a file for a void column among others',
    [add('a')],
    table({ fields: [column('v', 'void'), column('id')] }),
  ),
  onTable('a file where a void schema cannot be read', [add('a')], {
    ...table(),
    metadata: { ...table().metadata, schemaString: '["void"]' },
  }),
]

/** Files in their table. */
export const fileCases: readonly Case[] = [...identity, ...partitions, ...statistics, ...others]
