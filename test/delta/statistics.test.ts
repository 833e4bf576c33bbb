import t from 'tap'
import { deletionVectorId } from '../../src/delta/deletion-vectors.ts'
import { parseStatistics, recordCount } from '../../src/delta/statistics.ts'
import { stats, vector } from './support.ts'

t.test('statistics are the JSON text of an object with a count, if any', async (t) => {
  t.same(parseStatistics('{}'), { numRecords: undefined })
  t.same(parseStatistics('{"numRecords":null}'), { numRecords: undefined })
  t.same(parseStatistics('{"minValues":{"numRecords":1.5}}'), { numRecords: undefined })
  t.same(parseStatistics('{"numRecords":0}'), { numRecords: 0 })
  t.same(parseStatistics('{"numRecords":9007199254740993}'), { numRecords: 9007199254740993n })
  const unfit = ['', '[]', 'null', '"x"', '{', '{"numRecords":-1}', '{"numRecords":1.5}']
  const wild = ['{"numRecords":"1"}', '{"numRecords":1e30}', '{"numRecords":9223372036854775808}']
  for (const text of [...unfit, ...wild]) t.equal(parseStatistics(text), undefined, text)
  const deep = `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)},"numRecords":9007199254740993}`
  t.equal(parseStatistics(deep), undefined)
})

t.test('the records of a file are those that its deletion vector leaves', async (t) => {
  t.equal(recordCount({}), undefined)
  t.equal(recordCount({ stats: null }), undefined)
  t.equal(recordCount({ stats: '' }), undefined)
  t.equal(recordCount({ stats: '{' }), undefined)
  t.equal(recordCount({ stats: stats(7) }), 7)
  t.equal(recordCount({ stats: stats(7), deletionVector: null }), 7)
  t.equal(recordCount({ stats: stats(7), deletionVector: vector('a', 3) }), 4)
  t.equal(recordCount({ stats: stats(7), deletionVector: vector('a', 7) }), 0)
  t.equal(recordCount({ stats: stats(7), deletionVector: vector('a', 8) }), undefined)
  t.equal(recordCount({ stats: '{}', deletionVector: vector('a') }), undefined)
  const many = { stats: '{"numRecords":9223372036854775807}' }
  t.equal(recordCount({ ...many, deletionVector: vector('a', 7) }), 9223372036854775800n)
})

t.test('a deletion vector is known by its storage, name and offset', async (t) => {
  const inline = {
    storageType: 'i',
    pathOrInlineDv: 'abcde',
    sizeInBytes: 4,
    cardinality: 1,
  } as const
  t.equal(deletionVectorId(undefined), null)
  t.equal(deletionVectorId(null), null)
  t.equal(deletionVectorId(inline), 'iabcde')
  t.equal(deletionVectorId({ ...inline, offset: null }), 'iabcde')
  t.equal(deletionVectorId({ ...inline, storageType: 'p', offset: 0 }), 'pabcde@0')
  t.equal(deletionVectorId(vector('x')), `u${'x'.repeat(20)}@4`)
})
