import t from 'tap'
import { HeldKeys, readAdvisoryKey } from '../../../src/locks/advisory/rules.ts'

t.test('a key is a whole number of 64 bits', async (t) => {
  const keys: [number | string, bigint | RegExp][] = [
    [12345, 12345n],
    [-1, -1n],
    ['12345', 12345n],
    ['9223372036854775807', 9223372036854775807n],
    ['-9223372036854775808', -9223372036854775808n],
    ['9223372036854775808', /from -2\^63/],
    [2 ** 53, /as a string/],
    [1.5, /whole number/],
    ['0x10', /whole number/],
    ['', /whole number/],
    [4_919_871_002, /the service needs/],
  ]
  for (const [given, expected] of keys) {
    const read = readAdvisoryKey(given)
    if (typeof expected === 'bigint') t.equal(read, expected, String(given))
    else t.match(read, expected, String(given))
  }
})

t.test('a key has one holder, or several that share it', async (t) => {
  const held = new HeldKeys()
  const alone = { key: 1n, mode: 'exclusive' } as const
  const shared = { key: 2n, mode: 'shared' } as const
  t.equal(held.enter(alone), 'first')
  t.equal(held.enter(alone), 'refused')
  t.equal(held.enter({ ...alone, mode: 'shared' }), 'refused')
  t.equal(held.enter(shared), 'first')
  t.equal(held.enter(shared), 'another')
  t.equal(held.enter({ ...shared, mode: 'exclusive' }), 'refused')
  t.equal(held.leave({ ...shared, mode: 'exclusive' }), false)
  t.equal(held.leave(shared), false)
  t.strictSame(held.list(), [alone, shared])
  t.equal(held.leave(shared), true)
  t.equal(held.leave(shared), false)
  t.equal(held.enter({ ...shared, mode: 'exclusive' }), 'first')
})
