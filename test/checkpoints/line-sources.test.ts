import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import t from 'tap'
import { inBlocks, inParts, inTurn, linesOf } from '../../src/checkpoints/line-sources.ts'

const lines = fc.array(fc.string({ unit: fc.constantFrom('a', 'ä', '€'), maxLength: 5 }), {
  maxLength: 20,
})
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 })

/** The bytes in pieces of these sizes, again and again. */
async function* inPieces(bytes: Uint8Array, pieceSizes: readonly number[]) {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = pieceSizes[turn % pieceSizes.length] ?? 1
    yield bytes.subarray(at, at + size)
    at += size
  }
}

const bytesOf = (all: readonly string[]) => Buffer.from(all.map((line) => `${line}\n`).join(''))

t.test('parts have so many lines each, wherever the pieces end', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      lines,
      sizes,
      fc.integer({ min: 1, max: 6 }),
      async (all, pieces, linesMax) => {
        const found: string[] = []
        for await (const part of inParts(inPieces(bytesOf(all), pieces), linesMax)) {
          found.push(await text(part))
        }
        const expected = Array.from({ length: Math.ceil(all.length / linesMax) }, (_, index) =>
          bytesOf(all.slice(index * linesMax, (index + 1) * linesMax)).toString(),
        )
        t.strictSame(found, expected)
      },
    ),
  )
})

t.test('blocks are the same bytes, none but the last smaller than asked for', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      lines,
      sizes,
      fc.integer({ min: 1, max: 30 }),
      async (all, pieces, bytesMin) => {
        const found: Uint8Array[] = []
        for await (const block of inBlocks(inPieces(bytesOf(all), pieces), bytesMin))
          found.push(block)
        t.ok(found.slice(0, -1).every(({ length }) => length >= bytesMin))
        t.ok(found.every(({ length }) => length > 0))
        t.equal(Buffer.concat(found).toString(), bytesOf(all).toString())
      },
    ),
  )
})

t.test('who stops in the middle ends the source', async (t) => {
  let isOver = false
  async function* source() {
    try {
      for (;;) yield bytesOf(['a', 'b'])
    } finally {
      isOver = true
    }
  }
  for await (const part of inParts(source(), 3)) {
    t.equal(await text(part), 'a\nb\na\n')
    break
  }
  t.ok(isOver)
})

t.test('sources come one after the other, each begun when it is time', async (t) => {
  const begun: string[] = []
  const source = (name: string) => () => {
    begun.push(name)
    return linesOf([{ name }])
  }
  const both = inTurn(source('one'), source('two'))
  await both.next()
  t.strictSame(begun, ['one'])
  t.equal(await text(inTurn(source('x'), source('y'))), '{"name":"x"}\n{"name":"y"}\n')
})
