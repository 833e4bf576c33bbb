import t from 'tap'
import { checkpointSettings } from '../../../src/delta/checkpoints/settings.ts'
import type { DataType } from '../../../src/delta/data-types.ts'

const field = (name: string, type: DataType, physicalName?: string) => ({
  name,
  type,
  nullable: true,
  metadata: physicalName === undefined ? {} : { 'delta.columnMapping.physicalName': physicalName },
})
const struct = (...fields: ReturnType<typeof field>[]): DataType => ({ type: 'struct', fields })

/** A type as short text: `{a:long,b:{c:date}}`. */
function short(type: DataType | undefined): string {
  if (type === undefined) return 'none'
  if (typeof type === 'string') return type
  if (type.type !== 'struct') return type.type
  return `{${type.fields.map(({ name, type }) => `${name}:${short(type)}`).join(',')}}`
}

interface Case {
  what: string
  fields: ReturnType<typeof field>[]
  configuration?: Record<string, string>
  features?: string[]
  partitionColumns?: string[]
  statistics: string
  partitions?: string
}

const plain = [field('a', 'long'), field('b', 'string')]
const both =
  '{numRecords:long,minValues:{a:long,b:string},maxValues:{a:long,b:string},nullCount:{a:long,b:long}}'

const cases: Case[] = [
  { what: 'plain columns', fields: plain, statistics: both },
  {
    what: 'types without an order are only counted',
    fields: [
      field('flag', 'boolean'),
      field('blob', 'binary'),
      field('list', { type: 'array', elementType: 'long', containsNull: true }),
      field('map', { type: 'map', keyType: 'string', valueType: 'long', valueContainsNull: true }),
      field('sum', 'decimal(10,2)'),
    ],
    statistics:
      '{numRecords:long,minValues:{sum:decimal(10,2)},maxValues:{sum:decimal(10,2)},nullCount:{flag:long,blob:long,list:long,map:long,sum:long}}',
  },
  {
    what: 'structs are nested, and those without such a column left out',
    fields: [
      field('s', struct(field('x', 'date'), field('y', 'boolean'))),
      field('f', struct(field('z', 'boolean'))),
    ],
    statistics:
      '{numRecords:long,minValues:{s:{x:date}},maxValues:{s:{x:date}},nullCount:{s:{x:long,y:long},f:{z:long}}}',
  },
  {
    what: 'no bounds at all',
    fields: [field('flag', 'boolean')],
    statistics: '{numRecords:long,nullCount:{flag:long}}',
  },
  {
    what: 'void columns alone',
    fields: [field('nothing', 'void')],
    statistics: '{numRecords:long}',
  },
  {
    what: 'deletion vectors make bounds wide',
    fields: [field('flag', 'boolean')],
    features: ['deletionVectors'],
    statistics: '{numRecords:long,nullCount:{flag:long},tightBounds:boolean}',
  },
  {
    what: 'partition columns have values instead',
    fields: plain,
    partitionColumns: ['b'],
    statistics: '{numRecords:long,minValues:{a:long},maxValues:{a:long},nullCount:{a:long}}',
    partitions: '{b:string}',
  },
  {
    what: 'columns are known by their physical names',
    fields: [field('a', 'long', 'col-1'), field('p', 'date', 'col-2')],
    features: ['columnMapping'],
    configuration: { 'delta.columnMapping.mode': 'name' },
    partitionColumns: ['p'],
    statistics:
      '{numRecords:long,minValues:{col-1:long},maxValues:{col-1:long},nullCount:{col-1:long}}',
    partitions: '{col-2:date}',
  },
  {
    what: 'but only where the protocol has them',
    fields: [field('a', 'boolean', 'col-1')],
    configuration: { 'delta.columnMapping.mode': 'name' },
    statistics: '{numRecords:long,nullCount:{a:long}}',
  },
  {
    what: 'so many columns as the table says',
    fields: [field('s', struct(field('x', 'boolean'), field('y', 'boolean'))), ...plain],
    configuration: { 'delta.dataSkippingNumIndexedCols': '2' },
    statistics: '{numRecords:long,nullCount:{s:{x:long,y:long}}}',
  },
  {
    what: 'no columns',
    fields: plain,
    configuration: { 'delta.dataSkippingNumIndexedCols': '0' },
    statistics: '{numRecords:long}',
  },
  {
    what: 'the columns that the table names, whole structs too',
    fields: [
      field('s', struct(field('x', 'boolean'), field('y', 'boolean'))),
      field('a,b.c', 'boolean'),
      ...plain,
    ],
    configuration: { 'delta.dataSkippingStatsColumns': 'S, `a,b.c`' },
    statistics: '{numRecords:long,nullCount:{s:{x:long,y:long},a,b.c:long}}',
  },
  {
    what: 'a name that objects cannot hold',
    fields: [field('__proto__', 'boolean'), field('constructor', 'boolean')],
    statistics: '{numRecords:long,nullCount:{constructor:long}}',
  },
]

for (const one of cases) {
  const { what, fields, configuration = {}, features = [], partitionColumns = [] } = one
  const metadata = {
    id: 'i',
    format: { provider: 'parquet' },
    schemaString: JSON.stringify({ type: 'struct', fields }),
    partitionColumns,
    configuration: { 'delta.checkpoint.writeStatsAsStruct': 'true', ...configuration },
  }
  const protocol = {
    minReaderVersion: 3,
    minWriterVersion: 7,
    readerFeatures: features,
    writerFeatures: features,
  }
  const settings = checkpointSettings(metadata, protocol)
  t.equal(short(settings.statistics), one.statistics, what)
  t.equal(short(settings.partitions), one.partitions ?? 'none', what)
}

t.test('32 columns by default', async (t) => {
  const fields = Array.from({ length: 40 }, (_, index) => field(`c${index}`, 'boolean'))
  const metadata = {
    id: 'i',
    format: { provider: 'parquet' },
    schemaString: JSON.stringify({ type: 'struct', fields }),
    partitionColumns: [],
    configuration: { 'delta.checkpoint.writeStatsAsStruct': 'true' },
  }
  const { statistics } = checkpointSettings(metadata, { minReaderVersion: 1, minWriterVersion: 2 })
  t.match(short(statistics), /c31:long\}\}$/)
})

t.test('what properties say, and what holds without them', async (t) => {
  const of = (configuration: Record<string, string>, features: string[] = []) =>
    checkpointSettings(
      {
        id: 'i',
        format: { provider: 'parquet' },
        schemaString: '',
        partitionColumns: [],
        configuration,
      },
      {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: features,
        writerFeatures: features,
      },
    )
  const day = 86_400_000
  t.strictSame(of({}), {
    isV2: false,
    codec: 'ZSTD',
    statsAsJson: true,
    statistics: undefined,
    partitions: undefined,
    tombstoneMs: 7 * day,
    appTransactionMs: undefined,
  })
  t.match(
    of({
      'delta.checkpoint.writeStatsAsJson': 'FALSE',
      'delta.deletedFileRetentionDuration': 'interval 1 day',
      'delta.setTransactionRetentionDuration': 'interval 2 days',
      'delta.parquet.compression.codec': 'Snappy',
      'delta.checkpointPolicy': 'v2',
    }),
    {
      isV2: false,
      statsAsJson: false,
      tombstoneMs: day,
      appTransactionMs: 2 * day,
      codec: 'SNAPPY',
    },
  )
  t.equal(of({ 'delta.checkpointPolicy': 'v2' }, ['v2Checkpoint']).isV2, true)
  t.equal(of({ 'delta.checkpointPolicy': 'classic' }, ['v2Checkpoint']).isV2, false)
  t.equal(of({ 'delta.parquet.compression.codec': 'lz4' }).codec, 'ZSTD')
})
