import { Ajv } from 'ajv'
import t from 'tap'
import type { Fault } from '../../src/delta/faults.ts'
import { splitName } from '../../src/delta/predicates/columns.ts'
import {
  type PredicateNode,
  PredicateShape,
  predicateDepthMax,
  predicateNodesMax,
} from '../../src/delta/predicates/shape.ts'
import { parsePredicate } from '../../src/delta/predicates.ts'
import { faultyPredicates } from './predicates/faults.ts'
import { column, literal, node, not, parsed, predicateTable, struct } from './predicates/support.ts'
import { column as field } from './support.ts'

const array = { type: 'array' as const, elementType: 'long', containsNull: true }
const table = predicateTable({
  partitions: [field('date', 'date'), field('Region', 'string')],
  fields: [
    field('id', 'long'),
    field('price', 'double'),
    field('flag', 'boolean'),
    field('customer', struct(field('Name', 'string'), field('name.first', 'string'))),
    field('tags', array),
    field('v', 'variant'),
    field('a.b', 'integer'),
    field('`q`', 'integer'),
  ],
})

function faultsOf(given: unknown): Fault[] {
  return parsePredicate(given, table).faults ?? []
}

t.test('what is wrong with a predicate is told by place and reason', async (t) => {
  for (const [name, given, pointer, message] of faultyPredicates) {
    const [fault, ...more] = faultsOf(given)
    t.same(more, [], `${name}: one fault`)
    t.equal(fault?.pointer, pointer, name)
    t.match(fault?.message, message, name)
  }
})

t.test('all faults are told, up to a hundred', async (t) => {
  const both = node('and', node('equal', column('x'), literal('y', 'int')), { op: 'or' })
  t.same(
    faultsOf(both).map(({ pointer }) => pointer),
    ['/children/0/children/0/name', '/children/0/children/1/value', '/children/1/children'],
  )
  const many = node('and', ...Array.from({ length: 500 }, () => column('x')))
  t.equal(faultsOf(many).length, 100)
})

t.test('columns are found regardless of case, the exact name first', async (t) => {
  const [upper, lower] = [field('AB', 'long'), field('ab', 'string')]
  for (const fields of [
    [upper, lower],
    [lower, upper],
  ]) {
    const cased = predicateTable({ fields: [...fields, field('Cd')] })
    const named = (name: string) =>
      parsed(node('isNull', column(name)), cased).statisticsColumns.map((found) => found.name)
    t.same(named('ab'), ['ab'])
    t.same(named('AB'), ['AB'])
    t.same(named('cD'), ['Cd'])
  }
})

t.test('a path has dots between its names, and backticks around a name with dots', async (t) => {
  const paths: readonly [string, string[] | undefined][] = [
    ['a', ['a']],
    ['a.b.c', ['a', 'b', 'c']],
    ['`a.b`.c', ['a.b', 'c']],
    ['a.`b``c`', ['a', 'b`c']],
    ['a b.ü', ['a b', 'ü']],
    ['```q```', ['`q`']],
    ['', undefined],
    ['.a', undefined],
    ['a.', undefined],
    ['a..b', undefined],
    ['``', undefined],
    ['`a', undefined],
    ['`a`b', undefined],
    ['a`b`', undefined],
  ]
  for (const [path, names] of paths) t.same(splitName(path), names, path)
  for (const name of ['`a.b`', 'customer.`name.first`', '```q```']) {
    const predicate = parsed(node('isNull', column(name)), table)
    t.same(
      predicate.statisticsColumns.map((found) => found.name),
      [name],
    )
  }
})

t.test('a column may be named by any type of its kind', async (t) => {
  for (const [name, types] of Object.entries({
    id: ['byte', 'short', 'int', 'integer', 'long'],
    price: ['double'],
    flag: ['bool', 'boolean'],
    Region: ['string'],
    date: ['date'],
  })) {
    for (const type of types)
      t.same(faultsOf(node('equal', column(name, type), column(name))), [], type)
  }
})

function nested(depth: number): PredicateNode {
  let given = column('flag')
  for (let level = 1; level < depth; level++) given = not(given)
  return given
}

t.test('depth and size are limited', async (t) => {
  t.same(faultsOf(nested(predicateDepthMax)), [])
  const [deep, ...more] = faultsOf(nested(predicateDepthMax + 1))
  t.match(deep?.message, /nests deeper than 48 nodes/)
  t.equal(deep?.pointer, '/children/0'.repeat(predicateDepthMax))
  t.same(more, [])
  t.equal(faultsOf(nested(50_000)).length, 1)
  const wide = (count: number) => node('or', ...Array.from({ length: count }, () => column('flag')))
  t.same(faultsOf(wide(predicateNodesMax - 1)), [])
  t.same(faultsOf(wide(50_000)), [{ pointer: '', message: 'has more than 10000 nodes' }])
})

t.test('the shape holds at every depth and lets through what can be parsed', async (t) => {
  const validate = new Ajv({ strict: false }).compile({ ...PredicateShape, $id: 'Predicate' })
  const good = node(
    'and',
    node('in', column('id', 'long'), literal(1, 'long'), literal('2', 'int')),
    not(column('flag')),
  )
  t.ok(validate(good))
  t.same(faultsOf(good), [])
  for (const bad of [
    {},
    { op: 'like' },
    { op: 'and', children: 5 },
    node('and', column('flag'), { ...column('flag'), alias: 'x' } as PredicateNode),
    not(not(literal(null as never, 'int'))),
    not(column('')),
  ]) {
    t.notOk(validate(bad), JSON.stringify(bad))
  }
  const { examples } = PredicateShape as unknown as { examples: unknown[] }
  t.equal(examples.length, 1)
  for (const example of examples) t.ok(validate(example))
})
