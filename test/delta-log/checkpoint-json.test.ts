import type { SchemaElement, SchemaTree } from 'hyparquet'
import t from 'tap'
import { rowsToLines } from '../../src/delta-log/checkpoint-json.ts'

type Fields = Record<string, SchemaTree>

const node = (name: string, more: Partial<SchemaElement>, fields: Fields = {}): SchemaTree => ({
  children: Object.entries(fields).map(([own, child]) => ({
    ...child,
    element: { ...child.element, name: own },
  })),
  count: 1,
  element: { name, repetition_type: 'OPTIONAL', ...more },
  path: [name],
})
const struct = (fields: Fields) => node('', {}, fields)
const leaf = (more: Partial<SchemaElement>) => node('', more)
const text = leaf({ type: 'BYTE_ARRAY', converted_type: 'UTF8' })
const long = leaf({ type: 'INT64' })
const map = node('', { converted_type: 'MAP' }, { key_value: text })
const utc = { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' } as const

const values = struct({
  long,
  day: leaf({ type: 'INT32', converted_type: 'DATE' }),
  small: leaf({ type: 'INT32', converted_type: 'DECIMAL', scale: 2 }),
  large: leaf({ type: 'FIXED_LEN_BYTE_ARRAY', converted_type: 'DECIMAL', scale: 3 }),
  at: leaf({ type: 'INT64', logical_type: utc }),
  wall: leaf({ type: 'INT64', logical_type: { ...utc, isAdjustedToUTC: false } }),
  old: leaf({ type: 'INT96' }),
  double: leaf({ type: 'DOUBLE' }),
  bytes: leaf({ type: 'BYTE_ARRAY' }),
  inner: struct({ name: text }),
})

const toLine = rowsToLines(
  struct({
    txn: struct({ appId: text, version: long, lastUpdated: long }),
    add: struct({
      path: text,
      partitionValues: map,
      size: long,
      tags: map,
      deletionVector: struct({ storageType: text, offset: long }),
      stats: text,
      stats_parsed: struct({
        numRecords: long,
        minValues: values,
        tightBounds: leaf({ type: 'BOOLEAN' }),
      }),
      partitionValues_parsed: struct({ day: leaf({ type: 'INT32', converted_type: 'DATE' }) }),
    }),
    metaData: struct({
      id: text,
      partitionColumns: node('', { converted_type: 'LIST' }, { list: text }),
    }),
  }),
)

const addOf = (add: object) => {
  const line = toLine({ txn: undefined, add: { path: 'p', ...add } })
  return JSON.parse(line ?? '').add
}

t.test('the action of a row becomes a line, without what is null', async (t) => {
  t.equal(
    toLine({ txn: { appId: 'a"b', version: 9007199254740993n, lastUpdated: undefined } }),
    '{"txn":{"appId":"a\\"b","version":9007199254740993}}',
  )
  t.equal(
    toLine({ metaData: { id: 'x', partitionColumns: ['a', 'b'] } }),
    '{"metaData":{"id":"x","partitionColumns":["a","b"]}}',
  )
  t.equal(toLine({ txn: undefined, add: null }), undefined)
})

t.test('an add keeps its values as texts, and always has some', async (t) => {
  t.strictSame(addOf({ partitionValues: { day: '2020-01-01', none: undefined }, tags: {} }), {
    path: 'p',
    partitionValues: { day: '2020-01-01', none: null },
    tags: {},
  })
  t.strictSame(addOf({ partitionValues_parsed: { day: 1 } }), { path: 'p', partitionValues: {} })
})

t.test('a vector of nulls is none', async (t) => {
  const none = { storageType: undefined, offset: undefined }
  t.strictSame(addOf({ deletionVector: none }), { path: 'p', partitionValues: {} })
  t.match(addOf({ deletionVector: { storageType: 'u', offset: 0n } }), {
    deletionVector: { storageType: 'u', offset: 0 },
  })
})

t.test(
  'statistics that are columns alone become JSON, each value exact and in its form',
  async (t) => {
    const statsOf = (minValues: object) =>
      addOf({ stats_parsed: { numRecords: 7n, minValues, tightBounds: true } }).stats
    const minOf = (minValues: object) =>
      /"minValues":(.*),"tightBounds":true\}$/.exec(statsOf(minValues))?.[1]
    t.equal(statsOf({}), '{"numRecords":7,"minValues":{},"tightBounds":true}')
    t.equal(minOf({ long: 9223372036854775807n }), '{"long":9223372036854775807}')
    t.equal(minOf({ day: -1 }), '{"day":"1969-12-31"}')
    t.equal(minOf({ small: -5 }), '{"small":-0.05}')
    t.equal(minOf({ small: 120 }), '{"small":1.20}')
    t.equal(minOf({ large: new Uint8Array([0xff, 0xff, 0x00]) }), '{"large":-0.256}')
    t.equal(
      minOf({ large: new Uint8Array([0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0, 0, 1]) }),
      '{"large":256000000000000000.001}',
    )
    t.equal(minOf({ at: 1_500_000n }), '{"at":"1970-01-01T00:00:01.500Z"}')
    t.equal(minOf({ at: -1n }), '{"at":"1969-12-31T23:59:59.999999Z"}')
    t.equal(minOf({ wall: 1_500_001n }), '{"wall":"1970-01-01T00:00:01.500001"}')
    t.equal(minOf({ old: 2_000_000n }), '{"old":"1970-01-01T00:00:02.000Z"}')
    t.equal(minOf({ double: Number.NaN }), '{"double":"NaN"}')
    t.equal(minOf({ double: -0.5, bytes: new Uint8Array(2) }), '{"double":-0.5}')
    t.equal(minOf({ inner: { name: 'é"' } }), '{"inner":{"name":"é\\""}}')
  },
)

t.test('statistics as JSON go before those that are columns', async (t) => {
  const add = addOf({ stats: '{"numRecords":1}', stats_parsed: { numRecords: 2n } })
  t.strictSame(add, { path: 'p', stats: '{"numRecords":1}', partitionValues: {} })
})
