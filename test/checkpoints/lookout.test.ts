import t from 'tap'
import { Lookout } from '../../src/checkpoints/lookout.ts'

const nothing = { done: [], failed: [], lookMs: 2, isCut: false }

t.test('at first all tables are looked at, then those that are told', async (t) => {
  const lookout = new Lookout()
  lookout.tell(['a'])
  t.equal(lookout.next(0), undefined)
  lookout.note(undefined, nothing, 0)
  t.strictSame(lookout.next(1), ['a'])
  t.ok(lookout.knowsMore())
  lookout.note(['a'], nothing, 1)
  t.strictSame(lookout.next(2), [])
  t.notOk(lookout.knowsMore())
})

t.test('where something was done, there may be more', async (t) => {
  const lookout = new Lookout()
  lookout.note(undefined, { ...nothing, done: ['a'] }, 0)
  t.strictSame(lookout.next(1), ['a'])
  lookout.note(['a'], { ...nothing, done: ['a'] }, 1)
  t.strictSame(lookout.next(2), ['a'])
})

t.test('what failed is asked for until it went well, or all are looked at', async (t) => {
  const lookout = new Lookout()
  lookout.note(undefined, { ...nothing, failed: ['a', 'b'] }, 0)
  t.strictSame(lookout.next(1), ['a', 'b'])
  t.notOk(lookout.knowsMore(), 'but nobody hurries')
  lookout.note(['a', 'b'], { ...nothing, done: ['a'] }, 1)
  lookout.note(['a', 'b'], nothing, 2)
  t.strictSame(lookout.next(3), ['b'])
  lookout.note(undefined, nothing, 4)
  t.strictSame(lookout.next(5), [])
})

t.test('all tables are looked at the more seldom, the longer that takes', async (t) => {
  for (const [lookMs, pauseMs] of [
    [2, 100],
    [150, 7500],
    [5000, 60_000],
  ] as const) {
    const lookout = new Lookout()
    lookout.note(undefined, { ...nothing, lookMs }, 1000)
    t.strictSame(lookout.next(1000 + pauseMs - 1), [])
    t.equal(lookout.next(1000 + pauseMs), undefined)
  }
})

t.test('when there is more than there was room for, all are looked at again', async (t) => {
  const lookout = new Lookout()
  lookout.note(undefined, { ...nothing, isCut: true }, 0)
  t.equal(lookout.next(0), undefined)
})

t.test('so many are asked for at once at most, what is told before what failed', async (t) => {
  const lookout = new Lookout()
  lookout.note(undefined, { ...nothing, failed: ['f'] }, 0)
  lookout.tell(Array.from({ length: 150 }, (_, index) => `t${index}`))
  const asked = lookout.next(1)
  t.equal(asked?.length, 100)
  lookout.note(asked, nothing, 1)
  t.strictSame(lookout.next(2)?.slice(-2), ['t149', 'f'])
})
