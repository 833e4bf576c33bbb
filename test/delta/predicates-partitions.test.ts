import t from 'tap'
import type { PredicateNode } from '../../src/delta/predicates/shape.ts'
import { column, literal, node, not, onPartition } from './predicates/support.ts'

/** Three values of each type in their order, as partition values and literals write them. */
const ordered: Readonly<Record<string, readonly [string, string, string]>> = {
  byte: ['-128', '0', '127'],
  short: ['-5', '9', '10'],
  integer: ['-2147483648', '+7', '2147483647'],
  long: ['9007199254740992', '9007199254740993', '9007199254740994'],
  float: ['-Infinity', '1.1', 'NaN'],
  double: ['-1.5E10', '1e-5', 'inf'],
  boolean: ['false', 'true', 'true'],
  string: ['Z', 'a', 'é'],
  binary: ['A', 'B', 'BA'],
  date: ['0999-12-31', '2024-02-29', '2024-03-01'],
  timestamp: [
    '2024-01-01T00:00:00.123455Z',
    '2024-01-01T00:00:00.123456Z',
    '2024-01-01 01:00:00.123457+01:00',
  ],
  timestamp_ntz: ['1969-12-31 23:59:59.999999', '1970-01-01 00:00:00', '1970-01-01T00:00:00.1'],
  'decimal(38,1)': [
    '1000000000000000000000000000000000000.1',
    '1000000000000000000000000000000000000.2',
    '1000000000000000000000000000000000000.3',
  ],
}

const signs: Readonly<Record<string, (sign: number) => boolean>> = {
  equal: (sign) => sign === 0,
  lessThan: (sign) => sign < 0,
  lessThanOrEqual: (sign) => sign <= 0,
  greaterThan: (sign) => sign > 0,
  greaterThanOrEqual: (sign) => sign >= 0,
}

function literalOf(type: string, text: string): PredicateNode {
  return literal(type === 'binary' ? btoa(text) : text, type)
}

function compare(op: string, ...sides: PredicateNode[]): PredicateNode {
  return node(op as PredicateNode['op'], ...sides)
}

t.test('every comparison of every type is exact on partition values', async (t) => {
  for (const [type, values] of Object.entries(ordered)) {
    const middle = literalOf(type, values[1])
    for (const [op, holds] of Object.entries(signs)) {
      const forward = onPartition(type, compare(op, column('p', type), middle))
      const backward = onPartition(type, compare(op, middle, column('p', type)))
      const denied = onPartition(type, not(compare(op, column('p', type), middle)))
      for (const [index, value] of values.entries()) {
        const sign = values[index] === values[1] ? 0 : index - 1
        const file = { partitionValues: { p: value } }
        const name = `${type}: ${value} ${op} ${values[1]}`
        t.equal(forward.couldMatch(file), holds(sign), name)
        t.equal(backward.couldMatch(file), holds(-sign), `${name}, sides exchanged`)
        t.equal(denied.couldMatch(file), !holds(sign), `not ${name}`)
      }
      for (const value of [null, '']) {
        const file = { partitionValues: { p: value } }
        t.strictSame(forward.test(file), { kept: false, prunedBy: 'partitions' }, `${type} null`)
        t.equal(denied.couldMatch(file), false, `${type}: not ${op} null`)
      }
    }
  }
})

t.test('in finds what equals one of its literals, and not in what equals none', async (t) => {
  for (const [type, values] of Object.entries(ordered)) {
    const [low, middle, high] = values
    const list = node('in', column('p'), literalOf(type, high), literalOf(type, low))
    const [among, outside] = [onPartition(type, list), onPartition(type, not(list))]
    for (const value of [low, high]) {
      t.ok(among.couldMatch({ partitionValues: { p: value } }), `${type}: ${value} in`)
      t.notOk(outside.couldMatch({ partitionValues: { p: value } }), `${type}: ${value} not in`)
    }
    const file = { partitionValues: { p: middle } }
    t.equal(among.couldMatch(file), middle === high, `${type}: ${middle} in`)
    t.equal(outside.couldMatch(file), middle !== high, `${type}: ${middle} not in`)
    t.notOk(among.couldMatch({ partitionValues: { p: null } }), `${type}: null in`)
    t.notOk(outside.couldMatch({ partitionValues: { p: null } }), `${type}: null not in`)
  }
})

t.test('null is tested on partition values of every type', async (t) => {
  for (const [type, [value]] of Object.entries(ordered)) {
    const test = node('isNull', column('p'))
    const [isNull, isNotNull] = [onPartition(type, test), onPartition(type, not(test))]
    t.ok(isNull.couldMatch({ partitionValues: { p: null } }), type)
    t.ok(isNull.couldMatch({ partitionValues: { p: '' } }), type)
    t.notOk(isNull.couldMatch({ partitionValues: { p: value } }), type)
    t.notOk(isNotNull.couldMatch({ partitionValues: { p: null } }), type)
    t.ok(isNotNull.couldMatch({ partitionValues: { p: value } }), type)
  }
})

t.test('a partition value that readers may read otherwise, or not at all, is kept', async (t) => {
  const unsure: readonly [type: string, text: string | undefined, other: string][] = [
    ['integer', 'abc', '1'],
    ['integer', '1.0', '2'],
    ['integer', undefined, '1'],
    ['integer', '__HIVE_DEFAULT_PARTITION__', '1'],
    ['string', '__HIVE_DEFAULT_PARTITION__', 'a'],
    ['boolean', 't', 'false'],
    ['date', '2024-02-30', '2024-01-01'],
    ['timestamp', 'yesterday', '2024-01-01T00:00:00Z'],
    ['timestamp_ntz', '2024-01-01T00:00:00Z', '2023-01-01 00:00:00'],
    ['decimal(3,1)', '1.23', '1.2'],
  ]
  for (const [type, text, other] of unsure) {
    const file = { partitionValues: text === undefined ? {} : { p: text } }
    const equal = node('equal', column('p'), literal(other, type))
    for (const given of [
      equal,
      not(equal),
      node('isNull', column('p')),
      not(node('isNull', column('p'))),
    ]) {
      t.ok(onPartition(type, given).couldMatch(file), `${type} ${text}: ${JSON.stringify(given)}`)
    }
  }
})

t.test(
  'binary that its writer may have escaped in more than one way is kept, but is not null',
  async (t) => {
    for (const text of ['é', '\\u0001', '\u00ff']) {
      const file = { partitionValues: { p: text } }
      t.ok(
        onPartition('binary', node('equal', column('p'), literal('AA==', 'binary'))).couldMatch(
          file,
        ),
      )
      t.notOk(onPartition('binary', node('isNull', column('p'))).couldMatch(file))
    }
    const file = { partitionValues: { p: '\u0001' } }
    t.ok(
      onPartition('binary', node('equal', column('p'), literal('AQ==', 'binary'))).couldMatch(file),
    )
    t.notOk(
      onPartition('binary', node('equal', column('p'), literal('Ag==', 'binary'))).couldMatch(file),
    )
  },
)

t.test('NaN equals NaN and is greater than any number; the two zeros are equal', async (t) => {
  const holds = (op: string, value: string, other: string) =>
    onPartition('double', compare(op, column('p'), literal(other, 'double'))).couldMatch({
      partitionValues: { p: value },
    })
  t.ok(holds('equal', 'NaN', 'NaN'))
  t.ok(holds('greaterThan', 'NaN', 'Infinity'))
  t.notOk(holds('lessThan', 'NaN', 'Infinity'))
  t.ok(holds('lessThan', 'Infinity', 'NaN'))
  t.notOk(holds('greaterThanOrEqual', '1e308', 'NaN'))
  t.ok(holds('lessThanOrEqual', 'NaN', 'NaN'))
  t.ok(holds('equal', '-0.0', '0.0'))
  t.notOk(holds('lessThan', '-0.0', '0.0'))
  t.ok(holds('equal', 'Infinity', 'inf'))
  t.ok(holds('equal', '-inf', '-Infinity'))
  t.notOk(holds('equal', '-inf', 'inf'))
})

t.test(
  'a float is the float nearest to what is written, and compares as that with a double',
  async (t) => {
    const file = { partitionValues: { p: '1.1' } }
    const equal = (value: string, type: string) =>
      onPartition('float', node('equal', column('p'), literal(value, type))).couldMatch(file)
    t.ok(equal('1.1', 'float'))
    t.notOk(equal('1.1', 'double'))
    t.ok(equal(String(Math.fround(1.1)), 'double'))
  },
)

t.test('strings compare by their UTF-8 bytes, not by UTF-16', async (t) => {
  const sorted = ['\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}']
  for (const [index, value] of sorted.entries()) {
    for (const [other, text] of sorted.entries()) {
      const less = onPartition('string', node('lessThan', column('p'), literal(text, 'string')))
      t.equal(
        less.couldMatch({ partitionValues: { p: value } }),
        index < other,
        `${index} ${other}`,
      )
    }
  }
})
