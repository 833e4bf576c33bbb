import t from 'tap'
import { checkLockHistory, type Holding, type LockHistory } from './lock-history.ts'

const holding = (token: number, asked: number, over: number, more: Partial<Holding> = {}) => ({
  lock: 'l',
  token,
  asked,
  granted: asked + 1,
  over,
  ...more,
})
const write = (token: number, call: number, outcome: 'written' | 'refused' | 'unknown') => ({
  lock: 'l',
  token,
  call,
  outcome,
})

const good: LockHistory = {
  holdings: [holding(1, 0, 10), holding(2, 5, 30), holding(3, 31, 40)],
  writes: [
    write(1, 2, 'written'),
    write(1, 3, 'unknown'),
    write(1, 11, 'refused'),
    write(2, 12, 'written'),
    write(2, 13, 'unknown'),
    write(3, 33, 'written'),
  ],
  places: [{ lock: 'l', tokens: [1, 1, 2, 3] }],
}

t.test('a history without a fault is found so', async (t) => {
  t.strictSame(checkLockHistory(good), [])
})

t.test('each fault is found', async (t) => {
  const [first, , third] = good.holdings as [Holding, Holding, Holding]
  const cases: [Partial<LockHistory>, RegExp][] = [
    [{ holdings: [...good.holdings, holding(3, 50, 60)] }, /a token was granted twice/],
    [{ holdings: [first, third, holding(2, 50, 60)] }, /token 2 was granted behind 3/],
    [{ writes: [...good.writes, write(1, 11, 'written')] }, /token 1, whose time was over/],
    [
      {
        holdings: [{ ...first, over: 99 }, ...good.holdings.slice(1)],
        writes: [write(1, 20, 'written')],
      },
      /wrote under token 1 when 2 was granted/,
    ],
    [{ writes: [...good.writes, write(9, 1, 'written')] }, /token 9, which nobody was granted/],
    [{ places: [{ lock: 'l', tokens: [1, 2, 1, 3] }] }, /a write of token 1 stands behind 2/],
    [{ places: [{ lock: 'l', tokens: [1, 2] }] }, /0 writes of token 3 are there, not 1 to 1/],
    [
      { places: [{ lock: 'l', tokens: [1, 1, 1, 2, 3] }] },
      /3 writes of token 1 are there, not 1 to 2/,
    ],
  ]
  for (const [change, expected] of cases) {
    const faults = checkLockHistory({ ...good, ...change })
    t.match(faults.join('\n'), expected)
  }
})
