import t from 'tap'
import { columnFinder, type PredicateColumn } from '../../src/delta/predicates/columns.ts'
import { statisticsTrimmer } from '../../src/delta/trim-statistics.ts'
import { predicateTable, struct } from './predicates/support.ts'
import { column as field } from './support.ts'

const table = predicateTable({
  fields: [field('a', 'long'), field('s', struct(field('x', 'long'), field('y', 'long')))],
})

function trimmed(names: string[], stats: string): string {
  const find = columnFinder(table)
  const columns = names.map((name) => find(name) as PredicateColumn)
  const line = `{"add":{"path":"p","stats":${JSON.stringify(stats)},"size":1.0}}`
  return JSON.parse(statisticsTrimmer(columns)(line)).add.stats
}

const stats =
  '{"numRecords":9007199254740993,"minValues":{"a":1.0,"s":{"x":1e2,"y":"\\u0041"}},"nullCount":{"a":0,"s":{"x":0,"y":0}},"tightBounds":true}'

t.test('statistics of other columns are left out, and all tokens of the rest stay', async (t) => {
  const rest = '"tightBounds":true}'
  const begin = '{"numRecords":9007199254740993,"minValues":'
  t.equal(trimmed(['a'], stats), `${begin}{"a":1.0},"nullCount":{"a":0},${rest}`)
  t.equal(trimmed([], stats), `${begin}{},"nullCount":{},${rest}`)
  const onlyY = `${begin}{"s":{"y":"\\u0041"}},"nullCount":{"s":{"y":0}},${rest}`
  t.equal(trimmed(['s.y'], stats), onlyY)
  t.equal(trimmed(['a', 's.y', 's'], stats), stats)
  t.equal(trimmed(['s', 'S.Y', 'a'], stats), stats)
})

t.test('what is no object stays as it is', async (t) => {
  for (const text of ['', '{', '[1]', '7', 'null', '{"minValues":3}', '['.repeat(200)]) {
    t.equal(trimmed([], text), text)
  }
  const line = '{"add":{"path":"p","tags":{"stats":"{}"}, "size":1}}'
  t.equal(statisticsTrimmer([])(line), line)
  const escaped = '{"add":{"stats":"{}","path":"a\\u002fb"}}'
  t.equal(statisticsTrimmer([])(escaped), escaped)
})
