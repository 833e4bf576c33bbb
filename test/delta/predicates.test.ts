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
  onPartition,
  parsed,
  predicateTable,
  struct,
} from './predicates/support.ts'
import { column as field } from './support.ts'

t.test('columns compare with columns', async (t) => {
  const partitions = [field('p', 'integer'), field('q', 'long')]
  const table = predicateTable({ partitions, fields: [field('c', 'short'), field('d', 'byte')] })
  const less = parsed(node('lessThan', column('p'), column('q')), table)
  t.ok(less.couldMatch({ partitionValues: { p: '1', q: '2' } }))
  t.notOk(less.couldMatch({ partitionValues: { p: '2', q: '2' } }))
  t.notOk(less.couldMatch({ partitionValues: { p: '2', q: null } }))
  const atLeast = parsed(not(node('lessThan', column('p'), column('c'))), table)
  const file = { partitionValues: { p: '4' } }
  t.ok(atLeast.couldMatch(file))
  t.ok(atLeast.couldMatch({ ...file, stats: bounds('4', '9') }))
  t.notOk(atLeast.couldMatch({ ...file, stats: bounds('5', '9') }))
  const both = parsed(node('equal', column('c'), column('d')), table)
  const stats = (d: string) => `{"minValues":{"c":5,"d":${d}},"maxValues":{"c":6,"d":${d}}}`
  t.ok(both.couldMatch({ partitionValues: {}, stats: stats('6') }))
  t.notOk(both.couldMatch({ partitionValues: {}, stats: stats('7') }))
})

t.test('boolean columns and literals are predicates by themselves', async (t) => {
  const flag = onPartition('boolean', column('p'))
  const unset = onPartition('boolean', not(column('p', 'bool')))
  const kept = (value: string | null) =>
    [flag, unset].map((one) => one.couldMatch({ partitionValues: { p: value } }))
  t.same(kept('true'), [true, false])
  t.same(kept('false'), [false, true])
  t.same(kept(null), [false, false])
  for (const isTrue of [true, false]) {
    const constant = onPartition('boolean', literal(isTrue, 'bool'))
    t.equal(constant.couldMatch({ partitionValues: {} }), isTrue)
    const denied = onPartition('boolean', not(literal(String(isTrue), 'boolean')))
    t.equal(denied.couldMatch({ partitionValues: {} }), !isTrue)
  }
  const fact = (left: number) =>
    onPartition('long', node('lessThan', literal(left, 'int'), literal(2, 'long')))
  t.ok(fact(1).couldMatch({ partitionValues: {} }))
  t.notOk(fact(2).couldMatch({ partitionValues: {} }))
})

t.test('and needs all, or needs one, and not is carried down through both', async (t) => {
  const partitions = [field('p', 'integer'), field('q', 'integer')]
  const table = predicateTable({ partitions })
  const [p, q] = [
    node('equal', column('p'), literal(1, 'int')),
    node('equal', column('q'), literal(1, 'int')),
  ]
  const states: readonly (boolean | null)[] = [true, false, null]
  const textOf = (state: boolean | null) => (state === null ? null : state ? '1' : '0')
  const and = (a: boolean | null, b: boolean | null) =>
    a === false || b === false ? false : a === null || b === null ? null : true
  const deny = (a: boolean | null) => (a === null ? null : !a)
  for (const a of states) {
    for (const b of states) {
      const file = { partitionValues: { p: textOf(a), q: textOf(b) } }
      const kept = (given: PredicateNode) => parsed(given, table).couldMatch(file)
      const either = deny(and(deny(a), deny(b)))
      t.equal(kept(node('and', p, q)), and(a, b) === true, `${a} and ${b}`)
      t.equal(kept(node('or', p, q)), either === true, `${a} or ${b}`)
      t.equal(kept(not(node('and', p, q))), and(a, b) === false, `not (${a} and ${b})`)
      t.equal(kept(not(node('or', p, q))), either === false, `not (${a} or ${b})`)
      t.equal(kept(not(not(node('and', p, not(q))))), and(a, deny(b)) === true, `${a} and not ${b}`)
    }
  }
})

t.test('alternatives within a conjunction must be met too', async (t) => {
  const table = predicateTable({ partitions: [field('p', 'integer'), field('q', 'integer')] })
  const is = (name: string, value: number) => node('equal', column(name), literal(value, 'int'))
  const predicate = parsed(node('and', is('p', 1), node('or', is('q', 1), is('q', 2))), table)
  t.ok(predicate.couldMatch({ partitionValues: { p: '1', q: '2' } }))
  t.notOk(predicate.couldMatch({ partitionValues: { p: '1', q: '3' } }))
  t.notOk(predicate.couldMatch({ partitionValues: { p: '2', q: '2' } }))
})

t.test('only a column at the top is a partition column, by its own name', async (t) => {
  const names = ['p', 'constructor', '__proto__']
  const partitions = names.map((name) => field(name, 'integer'))
  const inner = struct(...names.map((name) => field(name, 'integer')))
  const table = predicateTable({ partitions, fields: [field('s', inner)] })
  for (const name of names) {
    const is = (path: string) => parsed(node('equal', column(path), literal(1, 'int')), table)
    t.ok(is(name).couldMatch({ partitionValues: {} }), `${name} is missing`)
    const partitionValues = JSON.parse(`{"${name}":"2"}`)
    t.notOk(is(name).couldMatch({ partitionValues }), `${name} is 2`)
    const stats = JSON.parse(`{"minValues":{"s":{"${name}":5}}}`)
    t.equal(is(`s.${name}`).test({ partitionValues, stats }).prunedBy, 'statistics', `s.${name}`)
  }
})

t.test('statistics are looked at only where partition values do not decide', async (t) => {
  const table = predicateTable({
    partitions: [field('p', 'integer')],
    fields: [field('c', 'long')],
  })
  const p = node('equal', column('p'), literal(1, 'int'))
  const c = node('equal', column('c'), literal(1, 'int'))
  let reads = 0
  const file = (value: string) => ({
    partitionValues: { p: value },
    get stats() {
      reads++
      return bounds('5', '9')
    },
  })
  const verdict = (given: PredicateNode, value: string) => {
    reads = 0
    return { ...parsed(given, table).test(file(value)), reads }
  }
  t.same(verdict(node('and', c, p), '2'), { kept: false, prunedBy: 'partitions', reads: 0 })
  t.same(verdict(node('or', c, p), '1'), { kept: true, reads: 0 })
  t.same(verdict(node('and', c, p), '1'), { kept: false, prunedBy: 'statistics', reads: 1 })
  const twice = node('or', c, node('and', p, node('lessThan', column('c'), literal(5, 'int'))))
  t.same(verdict(twice, '1'), { kept: false, prunedBy: 'statistics', reads: 1 })
})

t.test('what is asked of one column in a conjunction is asked of one value', async (t) => {
  const between = node(
    'and',
    node('greaterThan', column('c'), literal(100, 'double')),
    node('lessThan', column('c'), literal(200, 'double')),
  )
  const name = 'NaN is above 100 but not below 200'
  t.equal(keeps(onData('double', between), bounds('1', '50')), false, name)
  const impossible = node(
    'and',
    node('isNull', column('c')),
    node('equal', column('c'), literal(1, 'int')),
  )
  t.equal(keeps(onData('long', impossible), undefined), false, 'null equals nothing')
})

t.test('a predicate tells its columns and the bounds of every row that satisfies it', async (t) => {
  const partitions = [field('p', 'date'), field('q', 'string')]
  const table = predicateTable({ partitions, fields: [field('c', 'long'), field('d', 'long')] })
  const predicate = parsed(
    node(
      'and',
      node('in', column('Q'), literal('eu', 'string'), literal('us', 'string')),
      node('lessThan', literal('2024-01-01', 'date'), column('p')),
      node('and', not(node('equal', column('c'), literal(5, 'int'))), node('isNull', column('d'))),
      node('or', node('isNull', column('p')), node('equal', column('c'), literal(7, 'int'))),
    ),
    table,
  )
  t.same(predicate.partitionColumns.map(({ name }) => name).sort(), ['p', 'q'])
  t.same(predicate.statisticsColumns.map(({ name }) => name).sort(), ['c', 'd'])
  const told = predicate.bounds.map(({ column: { name }, op, values }) => [name, op, ...values])
  t.same(told.sort(), [
    ['c', 'isNotNull'],
    ['d', 'isNull'],
    ['p', 'greaterThan', '2024-01-01'],
    ['q', 'in', 'eu', 'us'],
  ])
  const either = node('or', node('isNull', column('p')), node('isNull', column('c')))
  t.same(parsed(either, table).bounds, [])
})
