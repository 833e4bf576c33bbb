import fc from 'fast-check'
import t from 'tap'
import { exactInteger } from '../../src/delta/json.ts'
import { addLongs, longMax, longMin, subtractLongs } from '../../src/delta/longs.ts'

const long = fc
  .oneof(
    fc.bigInt({ min: longMin, max: longMax }),
    fc.integer().map(BigInt),
    fc.maxSafeInteger().map(BigInt),
  )
  .map((value) => ({ value, long: exactInteger(String(value)) }))

t.test('sums and differences of longs are exact, and numbers where those are', async (t) => {
  fc.assert(
    fc.property(long, long, (a, b) => {
      t.equal(addLongs(a.long, b.long), exactInteger(String(a.value + b.value)))
      t.equal(subtractLongs(a.long, b.long), exactInteger(String(a.value - b.value)))
    }),
  )
})
