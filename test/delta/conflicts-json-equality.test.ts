import t from 'tap'
import { differingMembers, isSameJson } from '../../src/delta/conflicts/json-equality.ts'

t.test('JSON values are the same whatever the order of their members', async (t) => {
  t.equal(isSameJson({ a: [1, { b: null }], c: 2n }, { c: 2n, a: [1, { b: null }] }), true)
  t.equal(isSameJson([1, 2], [2, 1]), false)
  t.equal(isSameJson([], {}), false)
  t.equal(isSameJson(null, {}), false)
  t.equal(isSameJson('1', 1), false)
  t.equal(isSameJson({ a: { b: 1 } }, { a: { b: 2 } }), false)
})

t.test('members that differ are named, those with odd names too', async (t) => {
  const odd = JSON.parse('{"a": 1, "b": 2, "__proto__": {}}')
  t.strictSame(differingMembers({ a: 1, b: 3, c: 4 }, odd), ['b', 'c', '__proto__'])
})
