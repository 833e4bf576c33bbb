import t from 'tap'
import type { PredicateNode } from '../../src/delta/predicates/shape.ts'
import {
  bounds,
  column,
  keeps,
  literal,
  node,
  not,
  onData,
  parsed,
  predicateTable,
  struct,
} from './predicates/support.ts'
import { column as field, mapped } from './support.ts'

type Row = readonly [
  type: string,
  min: string,
  max: string,
  op: PredicateNode['op'] | 'notEqual',
  value: string | number,
  kept: boolean,
]

/** Bounds as JSON, a comparison, and whether some value between the bounds may pass it. */
const cases: readonly Row[] = [
  ['long', '3', '7', 'equal', 2, false],
  ['long', '3', '7', 'equal', 3, true],
  ['long', '3', '7', 'equal', 7, true],
  ['long', '3', '7', 'equal', 8, false],
  ['long', '3', '7', 'lessThan', 3, false],
  ['long', '3', '7', 'lessThan', 4, true],
  ['long', '3', '7', 'lessThanOrEqual', 3, true],
  ['long', '3', '7', 'lessThanOrEqual', 2, false],
  ['long', '3', '7', 'greaterThan', 7, false],
  ['long', '3', '7', 'greaterThan', 6, true],
  ['long', '3', '7', 'greaterThanOrEqual', 7, true],
  ['long', '3', '7', 'greaterThanOrEqual', 8, false],
  ['long', '3', '7', 'notEqual', 5, true],
  ['long', '5', '5', 'notEqual', 5, false],
  ['long', '5', '5', 'notEqual', 6, true],
  ['long', '9007199254740993', '9007199254740993', 'equal', '9007199254740992', false],
  ['long', '9007199254740993', '9007199254740993', 'equal', '9007199254740993', true],
  ['long', '9223372036854775806', '9223372036854775807', 'lessThan', '9223372036854775806', false],
  ['long', '1e30', '1e30', 'equal', 1, true],
  ['long', '"x"', 'null', 'equal', 1, true],
  ['byte', '-128', '-100', 'greaterThan', -100, false],
  ['integer', '8', '4', 'equal', 1, true],
  ['decimal(10,2)', '1.05', '9.95', 'lessThan', '1.05', false],
  ['decimal(10,2)', '1.05', '9.95', 'equal', '9.95', true],
  ['decimal(10,2)', '1.05', '9.95', 'greaterThan', '9.95', false],
  ['decimal(38,2)', '1e20', '1e20', 'equal', '100000000000000000000.01', true],
  ['decimal(38,2)', '1e20', '1e20', 'equal', '100000100000000000000.00', false],
  [
    'decimal(38,0)',
    '12345678901234567890',
    '12345678901234567890',
    'equal',
    '12345678901234567891',
    true,
  ],
  ['decimal(4,2)', '0.30000000000000004', '0.30000000000000004', 'equal', '0.30', true],
  ['decimal(10,2)', 'true', 'true', 'equal', '3', true],
  ['double', '1.5', '2.5', 'lessThan', '1.5', false],
  ['double', '1.5', '2.5', 'equal', '2.6', false],
  ['double', '1.5', '2.5', 'equal', '2.5', true],
  ['double', '1.5', '2.5', 'greaterThan', '2.5', true],
  ['double', '1.5', '2.5', 'greaterThanOrEqual', 'NaN', true],
  ['double', '1.5', '2.5', 'equal', 'NaN', true],
  ['double', '1.5', '1.5', 'notEqual', '1.5', true],
  ['double', '"-Infinity"', '"NaN"', 'equal', '9', true],
  ['double', '"NaN"', '"NaN"', 'equal', '9', true],
  ['double', '100000000000000000000', '1e21', 'lessThan', '1e20', false],
  ['float', '1.1', '1.1', 'equal', String(Math.fround(1.1)), true],
  ['float', '1.1', '1.1', 'equal', '1.1', false],
  ['boolean', 'true', 'true', 'equal', 'false', false],
  ['boolean', 'false', 'true', 'equal', 'false', true],
  ['boolean', '"true"', '"true"', 'equal', 'false', true],
  ['string', '"b"', '"d"', 'lessThan', 'b', false],
  ['string', '"b"', '"d"', 'equal', 'a', false],
  ['string', '"b"', '"d"', 'equal', 'd', true],
  ['string', '"b"', '"d"', 'equal', 'e', false],
  ['string', '"b"', '"d"', 'greaterThanOrEqual', 'e', false],
  ['string', '"d"', '"b"', 'equal', 'x', true],
  ['string', '"b"', '"a"', 'equal', 'x', true],
  ['string', '4', '5', 'equal', 'x', true],
  ['binary', '"A"', '"B"', 'equal', 'Wg==', true],
  ['date', '"2024-01-01"', '"2024-01-31"', 'equal', '2024-02-01', false],
  ['date', '"2024-01-01"', '"2024-01-31"', 'equal', '2024-01-31', true],
  ['date', '"2024-01-01"', '19753', 'equal', '2024-02-01', true],
]

t.test('a file is kept when a value between its bounds may pass', async (t) => {
  for (const [type, min, max, op, value, kept] of cases) {
    const given =
      op === 'notEqual'
        ? not(node('equal', column('c'), literal(value, type)))
        : node(op, column('c'), literal(value, type.startsWith('float') ? 'double' : type))
    const name = `${type} from ${min} to ${max}: ${op} ${value}`
    t.equal(keeps(onData(type, given), bounds(min, max)), kept, name)
  }
})

t.test('a maximum may be the beginning of longer strings', async (t) => {
  const after = (text: string) =>
    onData('string', node('greaterThan', column('c'), literal(text, 'string')))
  for (const [max, text, kept] of [
    ['abc', 'abc', true],
    ['abc', 'abczzz', true],
    ['abc', 'abd', false],
    ['ab\u{10ffff}', 'ab\u{10ffff}z', true],
    ['ab\u{10ffff}', 'ac', false],
    ['ab\ufffd', 'ab\u{1f600}', true],
    ['ab\ud83d', 'ab\u{1f600}', true],
    ['ab\ud83d', 'ac', false],
    ['ab\ud83d\udbff\udfff', 'ab\u{1f600}', true],
    ['ab\ufffd\x7f', 'ab\u{1f600}', true],
    ['\u{10ffff}', '\u{10ffff}\u{10ffff}', true],
    ['', 'z', true],
  ] as const) {
    const name = `${JSON.stringify(max)} and above ${JSON.stringify(text)}`
    t.equal(keeps(after(text), bounds('"a"', JSON.stringify(max))), kept, name)
  }
  const before = onData('string', node('lessThan', column('c'), literal('ab\u{1f600}', 'string')))
  t.equal(keeps(before, bounds('"ab\ufffd"', '"z"')), true, 'cut between bytes')
})

t.test('a double that was a float may be the float nearest to what is written', async (t) => {
  const typeChanges = { 'delta.typeChanges': [{ fromType: 'float', toType: 'double' }] }
  const given = node('equal', column('c'), literal(String(Math.fround(1.1)), 'double'))
  t.equal(keeps(onData('double', given, typeChanges), bounds('1.1', '1.1')), true, 'widened')
  t.equal(keeps(onData('double', given), bounds('1.1', '1.1')), false, 'always double')
})

t.test('strings that readers do not compare by bytes exclude nothing but null', async (t) => {
  const given = node('equal', column('c'), literal('x', 'string'))
  for (const metadata of [
    { __CHAR_VARCHAR_TYPE_STRING: 'char(5)' },
    { __COLLATIONS: { c: 'spark.UTF8_LCASE' } },
  ]) {
    const predicate = onData('string', given, metadata)
    t.equal(keeps(predicate, bounds('"a"', '"b"')), true, JSON.stringify(metadata))
    t.equal(keeps(predicate, bounds('"a"', '"b"', 10)), false, 'all null')
  }
  const varchar = onData('string', given, { __CHAR_VARCHAR_TYPE_STRING: 'varchar(5)' })
  t.equal(keeps(varchar, bounds('"a"', '"b"')), false, 'varchar')
})

t.test('the count of nulls tells none and all, and nothing between', async (t) => {
  const isNull = node('isNull', column('c'))
  const equal = node('equal', column('c'), literal(5, 'int'))
  const counts: readonly [stats: string, isNull: boolean, isNotNull: boolean, equal: boolean][] = [
    [bounds('1', '9', 0, 10), false, true, true],
    [bounds('1', '9', 4, 10), true, true, true],
    [bounds('1', '9', 10, 10), true, false, false],
    [bounds('null', 'null', 10, 10), true, false, false],
    [bounds('1', '9', 0, 0), false, false, false],
    ['{"numRecords":10,"tightBounds":false,"nullCount":{"c":0}}', false, true, true],
    ['{"numRecords":10,"tightBounds":false,"nullCount":{"c":10}}', true, false, false],
    ['{"numRecords":10,"tightBounds":false,"nullCount":{"c":3}}', true, true, true],
    ['{"numRecords":9007199254740993,"nullCount":{"c":9007199254740993}}', true, false, false],
    ['{"numRecords":9007199254740993,"nullCount":{"c":9007199254740992}}', true, true, true],
    ['{"nullCount":{"c":10}}', true, true, true],
    ['{"numRecords":"10","nullCount":{"c":10}}', true, true, true],
    ['{"numRecords":10,"nullCount":{"c":-1}}', true, true, true],
    ['{"numRecords":10,"nullCount":{"c":{"d":0}}}', true, true, true],
    ['{"numRecords":10}', true, true, true],
  ]
  for (const [stats, whenNull, whenNot, whenEqual] of counts) {
    t.equal(keeps(onData('long', isNull), stats), whenNull, `is null: ${stats}`)
    t.equal(keeps(onData('long', not(isNull)), stats), whenNot, `is not null: ${stats}`)
    t.equal(keeps(onData('long', equal), stats), whenEqual, `equal: ${stats}`)
    t.equal(keeps(onData('long', not(equal)), stats), whenEqual, `not equal: ${stats}`)
  }
})

t.test('columns of any type are tested for null', async (t) => {
  const array = { type: 'array' as const, elementType: 'long', containsNull: true }
  const map = {
    type: 'map' as const,
    keyType: 'string',
    valueType: 'long',
    valueContainsNull: true,
  }
  for (const type of [array, map, struct(field('x')), 'variant', 'void']) {
    const table = predicateTable({ fields: [field('c', type)] })
    const isNull = parsed(node('isNull', column('c')), table)
    const name = JSON.stringify(type)
    const counted = (nulls: number) => `{"numRecords":2,"nullCount":{"c":${nulls}}}`
    t.equal(keeps(isNull, counted(0)), false, name)
    t.equal(keeps(isNull, counted(1)), true, name)
    const isNotNull = parsed(not(node('isNull', column('c'))), table)
    t.equal(keeps(isNotNull, counted(2)), false, name)
    t.equal(keeps(isNull, '{"numRecords":2,"nullCount":{"c":{"x":0}}}'), true, name)
  }
})

t.test('statistics that are missing or cannot be read keep the file', async (t) => {
  const predicate = onData('long', node('equal', column('c'), literal(5, 'int')))
  const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
  const unread = [
    undefined,
    null,
    '',
    '{',
    '[]',
    '5',
    'null',
    '{"minValues":{"c":NaN}}',
    deep,
    '{}',
  ]
  for (const stats of unread) {
    t.equal(keeps(predicate, stats), true, String(stats).slice(0, 40))
  }
  for (const stats of [
    '{"minValues":5,"maxValues":[]}',
    '{"minValues":{"c":[9]}}',
    '{"minValues":null}',
  ]) {
    t.equal(keeps(predicate, stats), true, stats)
  }
  const read = { minValues: { c: 6 } }
  t.notOk(predicate.couldMatch({ partitionValues: {}, stats: read }), 'statistics that are parsed')
  t.equal(keeps(predicate, '{"maxValues":{"c":4}}'), false, 'one bound is enough')
})

t.test('nested columns are found in statistics by their physical names', async (t) => {
  const inner = [field('b', 'long', mapped(2, 'x-b')), field('__proto__', 'long', mapped(3, 'x-p'))]
  const outer = field('a', struct(...inner), mapped(1, 'x-a'))
  const stats = (a: string, b: string) =>
    `{"minValues":{"${a}":{"${b}":7}},"maxValues":{"${a}":{"${b}":8}}}`
  const given = node('equal', column('A.B'), literal(5, 'int'))
  for (const columnMapping of ['none', 'name', 'id'] as const) {
    const predicate = parsed(given, predicateTable({ fields: [outer], columnMapping }))
    const isMapped = columnMapping !== 'none'
    t.equal(keeps(predicate, stats('a', 'b')), isMapped, columnMapping)
    t.equal(keeps(predicate, stats('x-a', 'x-b')), !isMapped, columnMapping)
    t.same(
      predicate.statisticsColumns.map(({ physicalPath }) => physicalPath),
      [isMapped ? ['x-a', 'x-b'] : ['a', 'b']],
    )
  }
  const predicate = parsed(
    node('equal', column('a.__proto__'), literal(5, 'int')),
    predicateTable({ fields: [outer] }),
  )
  t.equal(keeps(predicate, stats('a', '__proto__')), false)
  t.equal(keeps(predicate, '{"minValues":{"a":{}},"nullCount":{}}'), true)
})

t.test('a list is met by bounds that have one of its values between them', async (t) => {
  const list = node('in', column('c'), ...[30, 10, 20].map((value) => literal(value, 'int')))
  const [among, outside] = [onData('long', list), onData('long', not(list))]
  const ranges: readonly [min: number, max: number, among: boolean, outside: boolean][] = [
    [1, 9, false, true],
    [1, 10, true, true],
    [10, 10, true, false],
    [11, 19, false, true],
    [11, 25, true, true],
    [15, 15, false, true],
    [31, 90, false, true],
  ]
  for (const [min, max, whenAmong, whenOutside] of ranges) {
    t.equal(keeps(among, bounds(`${min}`, `${max}`)), whenAmong, `${min} to ${max} in`)
    t.equal(keeps(outside, bounds(`${min}`, `${max}`)), whenOutside, `${min} to ${max} not in`)
  }
  t.equal(keeps(among, '{"minValues":{"c":30}}'), true, 'open above')
  t.equal(keeps(among, '{"maxValues":{"c":9}}'), false, 'open below')
})
