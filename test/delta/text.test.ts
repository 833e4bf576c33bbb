import fc from 'fast-check'
import t from 'tap'
import { exceedsBytes, isStorableText, listed, quoted } from '../../src/delta/text.ts'

t.test('what the database cannot keep is known', async (t) => {
  t.equal(isStorableText('naïve 😀'), true)
  t.equal(isStorableText('a\0b'), false)
  t.equal(isStorableText('a\ud800b'), false)
  t.equal(isStorableText('\udc00'), false)
})

t.test('the length in bytes is that of UTF-8', async () => {
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(text, fc.integer({ min: -4, max: 4 }), (text, off) => {
      return exceedsBytes(text, Buffer.byteLength(text) + off) === off < 0
    }),
  )
})

t.test('messages show texts escaped and cut', async (t) => {
  t.equal(quoted('a"b\n'), String.raw`"a\"b\n"`)
  t.equal(quoted('x'.repeat(100)), `"${'x'.repeat(100)}"`)
  t.equal(quoted('x'.repeat(101)), `"${'x'.repeat(100)}"…`)
  t.equal(listed([]), 'none')
  t.equal(listed(['a', 'b']), '"a", "b"')
  t.match(listed(Array.from({ length: 12 }, (_, index) => `c${index}`)), /"c9" and 2 more$/)
})
