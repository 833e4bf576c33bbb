import t from 'tap'
import type { StructType } from '../../src/delta/data-types.ts'
import { faultsMax } from '../../src/delta/faults.ts'
import { checkPartitionColumns, partitionColumnsOf } from '../../src/delta/partitioning.ts'
import { column, mapped } from './support.ts'

const schema: StructType = {
  type: 'struct',
  fields: [
    column('id'),
    column('date', 'date', mapped(2, 'col-2')),
    column('blob', 'binary'),
    column('v', 'variant'),
    column('n', 'void'),
    column('list', { type: 'array', elementType: 'long', containsNull: true }),
  ],
}

t.test('partition columns are top-level columns with an order, each once', async (t) => {
  t.same(checkPartitionColumns(schema, []), [])
  t.same(checkPartitionColumns(schema, ['date', 'id', 'blob']), [])
  const cases: readonly [names: string[], pointer: string, message: RegExp][] = [
    [['Date'], '/0', /"Date" is not a column of the schema, which has "id", "date", "blob"/],
    [['id', 'x.y'], '/1', /"x.y" is not a column/],
    [['id', 'id'], '/1', /"id" is listed twice/],
    [['v'], '/0', /"v" is of type variant/],
    [['n'], '/0', /"n" is of type void/],
    [['list'], '/0', /"list" is of type array/],
  ]
  for (const [names, pointer, message] of cases) {
    t.match(checkPartitionColumns(schema, names), [{ pointer, message }], names.join())
  }
  t.equal(checkPartitionColumns(schema, Array(200).fill('x')).length, faultsMax)
})

t.test('at least one column is left to the files', async (t) => {
  const two: StructType = { type: 'struct', fields: [column('a'), column('b')] }
  t.same(checkPartitionColumns(two, ['a']), [])
  t.match(checkPartitionColumns(two, ['b', 'a']), [{ pointer: '', message: /all columns/ }])
  t.same(checkPartitionColumns({ type: 'struct', fields: [] }, []), [])
})

t.test('partition columns are known to files by their physical names', async (t) => {
  const date = { name: 'date', physicalName: 'col-2', type: 'date' }
  t.same(partitionColumnsOf(schema, ['date'], 'name'), [date])
  t.same(partitionColumnsOf(schema, ['date'], 'id'), [date])
  t.same(partitionColumnsOf(schema, ['date'], 'none'), [{ ...date, physicalName: 'date' }])
  t.same(partitionColumnsOf(schema, ['id'], 'name'), [
    { name: 'id', physicalName: 'id', type: 'long' },
  ])
  t.same(partitionColumnsOf(undefined, ['x'], 'name'), [
    { name: 'x', physicalName: 'x', type: undefined },
  ])
})
