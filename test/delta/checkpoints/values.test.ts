import t from 'tap'
import {
  actionReader,
  parseStatisticsExactly,
  partitionStructReader,
  statisticsStructReader,
} from '../../../src/delta/checkpoints/values.ts'
import type { DataType, StructType } from '../../../src/delta/data-types.ts'

const struct = (fields: Record<string, DataType>): StructType => ({
  type: 'struct',
  fields: Object.entries(fields).map(([name, type]) => ({
    name,
    type,
    nullable: true,
    metadata: {},
  })),
})

const bytes = (...values: number[]) => Uint8Array.from(values)
const micros = (text: string) => BigInt(Date.parse(text)) * 1000n

/** What JSON text in statistics means for a column of a type; undefined for unknown. */
const written: [type: string, json: string, value: unknown][] = [
  ['long', '7', 7n],
  ['long', '-9223372036854775808', -(2n ** 63n)],
  ['long', '9223372036854775807', 2n ** 63n - 1n],
  ['long', '9223372036854775808', undefined],
  ['long', '9007199254740993', 9_007_199_254_740_993n],
  ['long', '1.5', undefined],
  ['long', 'true', undefined],
  ['long', 'null', undefined],
  ['integer', '2147483647', 2_147_483_647],
  ['integer', '2147483648', undefined],
  ['short', '-32768', -32_768],
  ['short', '-32769', undefined],
  ['byte', '127', 127],
  ['byte', '128', undefined],
  ['double', '1.5', 1.5],
  ['double', '3', 3],
  ['double', '0.1234567890123456789', 0.123_456_789_012_345_68],
  ['double', '"Infinity"', Infinity],
  ['double', '"NaN"', undefined],
  ['double', '""', undefined],
  ['float', '1e300', 1e300],
  ['decimal(5,2)', '1.5', 150n],
  ['decimal(5,2)', '-999.99', -99_999n],
  ['decimal(5,2)', '1000', undefined],
  ['decimal(5,2)', '1.234', undefined],
  ['decimal(5,2)', '1.230', 123n],
  ['decimal(5,2)', '1e2', 10_000n],
  ['decimal(5,2)', '"1.5"', 150n],
  ['decimal(5,2)', 'true', undefined],
  [
    'decimal(38,10)',
    '1234567890123456789012345678.0123456789',
    12_345_678_901_234_567_890_123_456_780_123_456_789n,
  ],
  ['decimal(38,0)', '0', 0n],
  ['string', '"ä"', 'ä'],
  ['string', '7', undefined],
  ['boolean', 'true', true],
  ['boolean', '"true"', undefined],
  ['date', '"1970-01-02"', 1],
  ['date', '"1969-12-31"', -1],
  ['date', '"2026-02-30"', undefined],
  ['timestamp', '"2026-01-31T12:00:00.001Z"', micros('2026-01-31T12:00:00.001Z')],
  ['timestamp', '"2026-01-31T12:00:00.001+02:00"', micros('2026-01-31T10:00:00.001Z')],
  ['timestamp', '"2026-01-31 12:00:00"', undefined],
  ['timestamp_ntz', '"2026-01-31T12:00:00.001"', micros('2026-01-31T12:00:00.001Z')],
  ['timestamp_ntz', '"2026-01-31T12:00:00.001Z"', micros('2026-01-31T12:00:00.001Z')],
  ['timestamp_ntz', '"2026-01-31T12:00:00.001+02:00"', undefined],
  ['variant', '"x"', undefined],
]

for (const [type, json, value] of written) {
  const read = statisticsStructReader(struct({ c: type }))
  t.strictSame(read(parseStatisticsExactly(`{"c":${json}}`)), { c: value }, `${type} ${json}`)
}

const partitions: [type: string, text: string | null, value: unknown][] = [
  ['string', 'a b', 'a b'],
  ['string', '', undefined],
  ['string', null, undefined],
  ['integer', '+7', 7],
  ['integer', 'x', undefined],
  ['long', '-9007199254740993', -9_007_199_254_740_993n],
  ['double', '-Infinity', -Infinity],
  ['double', '1e2', 100],
  ['boolean', 'true', true],
  ['boolean', 'TRUE', undefined],
  ['binary', 'aé', bytes(0x61, 0xc3, 0xa9)],
  ['date', '2026-01-31', Date.UTC(2026, 0, 31) / 86_400_000],
  ['timestamp', '2026-01-31 12:00:00', micros('2026-01-31T12:00:00Z')],
  ['timestamp', '2026-01-31T12:00:00.000001Z', micros('2026-01-31T12:00:00Z') + 1n],
  ['timestamp_ntz', '2026-01-31 12:00:00.5', micros('2026-01-31T12:00:00.5Z')],
  ['decimal(5,2)', '1.5', 150n],
]

for (const [type, text, value] of partitions) {
  const read = partitionStructReader(struct({ p: type }))
  t.strictSame(read({ p: text }), { p: value }, `partition ${type} ${text}`)
}

t.test('statistics that are absent, or no JSON', async (t) => {
  const read = statisticsStructReader(
    struct({ numRecords: 'long', minValues: struct({ a: 'long' }) }),
  )
  t.equal(read(parseStatisticsExactly(undefined)), undefined)
  t.equal(read(parseStatisticsExactly('{"a"')), undefined)
  t.equal(read(parseStatisticsExactly('[1]')), undefined)
  t.strictSame(read(parseStatisticsExactly('{}')), { numRecords: undefined, minValues: undefined })
  t.strictSame(read({ minValues: [] }), { numRecords: undefined, minValues: undefined })
  const inherited = statisticsStructReader(struct({ constructor: 'string', toString: 'long' }))
  t.strictSame({ ...(inherited({}) as object) }, { constructor: undefined, toString: undefined })
})

t.test('an action is read whole, or refused', async (t) => {
  const read = actionReader(
    struct({
      path: 'string',
      size: 'long',
      tags: { type: 'map', keyType: 'string', valueType: 'string', valueContainsNull: true },
      names: { type: 'array', elementType: 'string', containsNull: true },
    }),
  )
  t.strictSame(read({ path: 'p', size: 7, tags: { a: 'b', c: null }, names: ['x'], unknown: 1 }), {
    path: 'p',
    size: 7n,
    tags: [
      ['a', 'b'],
      ['c', null],
    ],
    names: ['x'],
  })
  t.strictSame(read({ path: null }), {
    path: undefined,
    size: undefined,
    tags: undefined,
    names: undefined,
  })
  for (const unfit of [
    { size: 1.5 },
    { path: 7 },
    { tags: [] },
    { names: {} },
    { size: 2n ** 63n },
  ]) {
    t.throws(() => read(unfit), RangeError)
  }
})
