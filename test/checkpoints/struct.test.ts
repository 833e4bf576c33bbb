import { join } from 'node:path'
import t from 'tap'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'
import { readCheckpoint, storedColumns } from './read-checkpoint.ts'

const field = (name: string, type: unknown, id: number) => ({
  name,
  type,
  nullable: true,
  metadata: { 'delta.columnMapping.id': id, 'delta.columnMapping.physicalName': `col-${id}` },
})
const schema = {
  type: 'struct',
  fields: [
    field('small', 'short', 1),
    field('price', 'decimal(30,2)', 2),
    field('at', 'timestamp', 3),
    field('local', 'timestamp_ntz', 4),
    field('inner', { type: 'struct', fields: [field('name', 'string', 6)] }, 5),
    field('day', 'date', 7),
  ],
}

t.test('statistics and partition values as structs, by physical names', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable({
    schema,
    partitionColumns: ['day'],
    configuration: {
      'delta.columnMapping.mode': 'name',
      'delta.columnMapping.maxColumnId': '7',
      'delta.checkpoint.writeStatsAsJson': 'false',
      'delta.checkpoint.writeStatsAsStruct': 'true',
    },
  })
  const bounds =
    '{"col-1":-7,"col-2":1234567890123456789012345678.91,"col-3":"2026-01-31T12:00:00.123Z","col-4":"2026-01-31T12:00:00.123","col-5":{"col-6":"ä"}}'
  const stats = `{"numRecords":9007199254740993,"minValues":${bounds},"maxValues":${bounds},"nullCount":{"col-1":1,"col-5":{"col-6":2}}}`
  const ofDay = (day: string | null) => ({ partitionValues: { 'col-7': day } })
  const actions = [
    add('a', { ...ofDay('2026-01-31'), stats }),
    add('b', { ...ofDay(null), stats: undefined }),
  ]
  const { status, text } = await server.commit(table, { actions })
  t.equal(status, 201, text)
  await server.published(table)
  const { body } = await server.post(`/tables/${table}/mirror/checkpoint`)
  const [{ path }] = body.files
  const log = join((await server.get(`/tables/${table}`)).body.location, '_delta_log')
  const rows = await readCheckpoint(log, path)
  const [a, b] = rows.flatMap((row) => row['add'] ?? [])
  t.equal(a?.['stats'], undefined)
  const parsed = a?.['stats_parsed']
  t.equal(parsed.numRecords, 9_007_199_254_740_993n)
  t.strictSame(parsed.nullCount, { 'col-1': 1, 'col-5': { 'col-6': 2 } })
  for (const bound of [parsed.minValues, parsed.maxValues]) {
    t.equal(bound['col-1'], -7)
    t.equal(Number(bound['col-2']), Number('1234567890123456789012345678.91'))
    t.strictSame(bound['col-3'], new Date('2026-01-31T12:00:00.123Z'))
    t.strictSame(bound['col-4'], new Date('2026-01-31T12:00:00.123Z'))
    t.strictSame(bound['col-5'], { 'col-6': 'ä' })
  }
  t.strictSame(a?.['partitionValues_parsed'], { 'col-7': new Date('2026-01-31') })
  t.equal(b?.['stats_parsed'], undefined, 'no statistics are null as a whole')
  t.strictSame(b?.['partitionValues_parsed'], {}, 'the null value')
  const columns = await storedColumns(log, path)
  for (const column of [
    'add.stats_parsed.numRecords OPTIONAL INT64',
    'add.stats_parsed.minValues.col-1 OPTIONAL INT32 INT_16',
    'add.stats_parsed.minValues.col-2 OPTIONAL FIXED_LEN_BYTE_ARRAY DECIMAL',
    'add.stats_parsed.maxValues.col-3 OPTIONAL INT64 TIMESTAMP_MICROS',
    'add.stats_parsed.maxValues.col-4 OPTIONAL INT64',
    'add.stats_parsed.maxValues.col-5.col-6 OPTIONAL BYTE_ARRAY UTF8',
    'add.stats_parsed.nullCount.col-5.col-6 OPTIONAL INT64',
    'add.partitionValues_parsed.col-7 OPTIONAL INT32 DATE',
  ]) {
    t.ok(columns.includes(column), column)
  }
  t.notOk(columns.some((column) => column.startsWith('add.stats ')))
})

for (const codec of ['uncompressed', 'snappy', 'gzip', 'zstd']) {
  t.test(`pages are compressed by ${codec} where the table says so`, async (t) => {
    const server = await startTestServer(t)
    const configuration = { 'delta.parquet.compression.codec': codec }
    const table = await server.makeTable({ configuration })
    await server.commit(table, { actions: [add('a')] })
    await server.published(table)
    const { body } = await server.post(`/tables/${table}/mirror/checkpoint`)
    const log = join((await server.get(`/tables/${table}`)).body.location, '_delta_log')
    const rows = await readCheckpoint(log, body.files[0].path)
    t.equal(rows.flatMap((row) => row['add']?.['path'] ?? []).join(), 'a')
  })
}
