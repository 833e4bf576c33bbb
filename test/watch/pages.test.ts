import t from 'tap'
import { SharedText } from '../../src/http/shared-text.ts'
import { createPages, type FeedPage } from '../../src/watch/pages.ts'
import { createTurns } from '../../src/watch/turns.ts'

const page = (place: number, length = 1): FeedPage<number> => ({
  text: new SharedText('x'.repeat(length)),
  place,
})

t.test('those at the same place share a page, and it is read once', async (t) => {
  const { pageAt } = createPages<number>(createTurns(2))
  let reads = 0
  const read = async () => page(++reads)
  const found = await Promise.all(Array.from({ length: 1000 }, () => pageAt('a', read)))
  found.push(await pageAt('a', read))
  t.equal(new Set(found).size, 1)
  t.equal((await pageAt('b', read)).place, 2)
})

t.test('few are read at once, in the order in which they were asked for', async (t) => {
  const { pageAt } = createPages<number>(createTurns(2))
  const begun: number[] = []
  const ends: (() => void)[] = []
  const pages = [1, 2, 3, 4].map((place) =>
    pageAt(`${place}`, async () => {
      begun.push(place)
      await new Promise<void>((resolve) => ends.push(resolve))
      return page(place)
    }),
  )
  for (let ended = 0; ended < 4; ended += 1) {
    t.strictSame(begun, [1, 2, 3, 4].slice(0, ended + 2))
    ends[ended]?.()
    await pages[ended]
  }
})

t.test('what failed, what is large, and what is old is read again', async (t) => {
  const { pageAt } = createPages<number>(createTurns(2))
  let reads = 0
  const readAs = (length: number) => async () => page(++reads, length)
  await t.rejects(
    pageAt('a', async () => {
      throw new Error('no')
    }),
    { message: 'no' },
  )
  t.equal((await pageAt('a', readAs(1))).place, 1)
  t.equal((await pageAt('large', readAs(2 ** 20 + 1))).place, 2)
  t.equal((await pageAt('large', readAs(1))).place, 3)
  for (let number = 0; number < 15; number += 1) await pageAt(`${number}`, readAs(1))
  t.equal((await pageAt('large', readAs(1))).place, 3)
  t.equal((await pageAt('a', readAs(1))).place, 19)
})
