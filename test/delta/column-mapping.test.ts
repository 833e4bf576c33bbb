import t from 'tap'
import {
  columnMappingChangeFault,
  columnMappingFaults,
  columnMappingMode,
} from '../../src/delta/column-mapping.ts'
import type { StructField, StructType } from '../../src/delta/data-types.ts'
import { faultsMax } from '../../src/delta/faults.ts'
import { column, mapped } from './support.ts'

const struct = (...fields: StructField[]): StructType => ({ type: 'struct', fields })
const on = (maxColumnId?: string) => ({
  'delta.columnMapping.mode': 'name',
  ...(maxColumnId !== undefined && { 'delta.columnMapping.maxColumnId': maxColumnId }),
})

t.test('the mode is none unless a table says name or id', async (t) => {
  t.equal(columnMappingMode(undefined), 'none')
  t.equal(columnMappingMode({}), 'none')
  t.equal(columnMappingMode({ 'delta.columnMapping.mode': 'NAME' }), 'none')
  t.equal(columnMappingMode(on()), 'name')
  t.equal(columnMappingMode({ 'delta.columnMapping.mode': 'id' }), 'id')
})

t.test('with column mapping on every field has an id and a physical name', async (t) => {
  const inner = column('s', struct(column('x', 'long', mapped(2, 'c'))), mapped(1, 'c'))
  t.same(columnMappingFaults(struct(inner), on('2')), [])
  t.same(columnMappingFaults(struct(column('a')), {}), [])
  const faults = columnMappingFaults(struct(column('a'), column('s', struct(column('x')))), on())
  t.match(faults, [
    { pointer: '/schema/fields/0/metadata', message: /column "a" needs a whole number/ },
    { pointer: '/schema/fields/0/metadata', message: /column "a" needs a non-empty/ },
    { pointer: '/schema/fields/1/metadata', message: /column "s" needs/ },
    { pointer: '/schema/fields/1/metadata' },
    { pointer: '/schema/fields/1/type/fields/0/metadata', message: /column "s.x" needs/ },
    { pointer: '/schema/fields/1/type/fields/0/metadata' },
    { pointer: '/configuration/delta.columnMapping.maxColumnId', message: /is missing/ },
  ])
  const many = Array.from({ length: 200 }, (_, index) => column(`c${index}`))
  t.equal(columnMappingFaults(struct(...many), on()).length, faultsMax)
})

t.test('ids and physical names are unique and in range', async (t) => {
  const cases: readonly [fields: StructField[], message: RegExp][] = [
    [[column('a', 'long', mapped(0, 'x'))], /whole number from 1 to 2147483647/],
    [[column('a', 'long', mapped(2 ** 31, 'x'))], /whole number/],
    [[column('a', 'long', mapped(1.5, 'x'))], /whole number/],
    [[column('a', 'long', mapped(1, ''))], /non-empty/],
    [
      [column('a', 'long', mapped(1, 'x')), column('b', 'long', mapped(1, 'y'))],
      /column "b" has the delta.columnMapping.id 1 of column "a"/,
    ],
    [
      [column('a', 'long', mapped(1, 'x')), column('b', 'long', mapped(2, 'x'))],
      /column "b" repeats the delta.columnMapping.physicalName "x"/,
    ],
  ]
  for (const [fields, message] of cases) {
    t.match(columnMappingFaults(struct(...fields), on('9')), [{ message }])
  }
})

t.test('the highest id is kept as a property', async (t) => {
  const schema = struct(column('a', 'long', mapped(7, 'x')))
  t.same(columnMappingFaults(schema, on('7')), [])
  t.same(columnMappingFaults(schema, on('8')), [])
  t.match(columnMappingFaults(schema, on('6')), [{ message: /is "6"; .* at least 7/ }])
})

t.test(
  'the mode of a table changes from none to name only, and ids are not used again',
  async (t) => {
    const none = {}
    const id = { 'delta.columnMapping.mode': 'id' }
    t.equal(columnMappingChangeFault(none, none), undefined)
    t.equal(columnMappingChangeFault(none, on('3')), undefined)
    t.equal(columnMappingChangeFault(on('3'), on('3')), undefined)
    t.equal(columnMappingChangeFault(on('3'), on('4')), undefined)
    t.equal(columnMappingChangeFault(on(), on('1')), undefined)
    t.match(columnMappingChangeFault(none, id), /from none to id/)
    t.match(columnMappingChangeFault(id, on()), /from id to name/)
    t.match(columnMappingChangeFault(on(), none), /from name to none/)
    t.match(columnMappingChangeFault(on('4'), on('3')), /down from 4 to 3/)
    t.match(columnMappingChangeFault(on('4'), on()), /down from 4 to 0/)
  },
)
