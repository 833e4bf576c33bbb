import t from 'tap'
import { propertyChanges } from '../../src/changes/rules.ts'

t.test('properties: what is new or other is set, what is gone is removed', async (t) => {
  t.equal(propertyChanges({}, {}), undefined)
  t.equal(propertyChanges({ a: '1' }, { a: '1' }), undefined)
  t.strictSame(propertyChanges({ a: '1', b: '1', c: '1' }, { a: '1', b: '2', d: '3' }), {
    set: { b: '2', d: '3' },
    removed: ['c'],
  })
  t.strictSame(propertyChanges({}, { toString: 'x' }), { set: { toString: 'x' }, removed: [] })
  t.strictSame(propertyChanges({ valueOf: 'x' }, {}), { set: {}, removed: ['valueOf'] })
})
