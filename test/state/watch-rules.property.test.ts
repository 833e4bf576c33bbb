import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  cutWindow,
  endPosition,
  type HistoryWindow,
  type SentWrite,
  type WatchPlace,
  type WriteAt,
  watchPlace,
} from '../../src/state/watch-rules.ts'

interface KeyedWrite extends WriteAt {
  key: string
}

/** For each revision the keys that it writes. */
const histories = fc.array(
  fc.array(fc.constantFrom('a', 'ab', 'b', 'bc', 'c'), { minLength: 1, maxLength: 6 }),
  { maxLength: 8 },
)
const prefixes = fc.constantFrom('', 'a', 'b', 'x')

function writesOf(history: readonly string[][]): KeyedWrite[] {
  return history.flatMap((keys, index) =>
    keys.map((key, position) => ({ revision: index + 1, position, key })),
  )
}

const isBehind = (one: WriteAt, place: WriteAt) =>
  one.revision > place.revision ||
  (one.revision === place.revision && one.position > place.position)

/** What a statement finds behind a place that looks at so many writes and reads so many of them. */
function findWindow(
  history: readonly string[][],
  place: WatchPlace,
  { seenMax, readMax }: { seenMax: number; readMax: number },
): HistoryWindow<KeyedWrite> {
  const writes = writesOf(history)
  const seen = writes.filter((one) => isBehind(one, place)).slice(0, seenMax)
  const held = writes.filter(
    ({ revision, position }) => revision === place.revision && position === place.held,
  )
  const wanted = [...held, ...seen.filter(({ key }) => key.startsWith(place.prefix))]
  const told = wanted.map((one, index) => ({ ...one, next: wanted[index + 1]?.revision ?? null }))
  return {
    newest: history.length,
    lastSeen: seen.length < seenMax ? undefined : seen.at(-1),
    writes: told.slice(0, readMax),
  }
}

/** All that a watcher is sent from a place on, page after page, until there is no more. */
function readOn(
  history: readonly string[][],
  start: WatchPlace,
  limits: { seenMax: number; readMax: number },
) {
  const all: SentWrite<KeyedWrite>[] = []
  let place = start
  while (place.position < endPosition || place.revision < history.length) {
    const { sent, place: next } = cutWindow(place, findWindow(history, place, limits))
    if (sent.length === 0 && !isBehind(next, place)) throw new Error('a page leads nowhere')
    all.push(...sent)
    place = next
  }
  return { all, place }
}

/** What a watcher must be sent, by looking at all writes at once. */
function expected(history: readonly string[][], { prefix, ...place }: WatchPlace) {
  const wanted = writesOf(history).filter(
    (one) => isBehind(one, place) && one.key.startsWith(prefix),
  )
  return wanted.map((one, index) => {
    const hasMore = wanted[index + 1]?.revision === one.revision
    return {
      key: one.key,
      id: hasMore ? `${one.revision}.${one.position}` : `${one.revision}`,
      hasMore,
    }
  })
}

/** Fails the test with the smallest history that breaks the property. */
function holds<Values>(t: Test, property: fc.IProperty<Values>): void {
  t.doesNotThrow(() => fc.assert(property, { numRuns: 500 }))
}

const told = (all: readonly SentWrite<KeyedWrite>[]) =>
  all.map(({ write, id, hasMore }) => ({ key: write.key, id, hasMore }))

t.test('pages of whatever size hold each write once, in order, with its id', async (t) => {
  holds(
    t,
    fc.property(
      histories,
      prefixes,
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 7 }),
      fc.record({ revision: fc.nat(8), position: fc.constantFrom(0, 1, 2, 5, endPosition) }),
      (history, prefix, seenMax, readMax, { revision, position }) => {
        const place = { prefix, revision: Math.min(revision, history.length), position }
        const { all, place: end } = readOn(history, place, { seenMax, readMax })
        deepStrictEqual(told(all), expected(history, place))
        const { held, ...at } = end
        deepStrictEqual(at, { prefix, revision: history.length, position: endPosition })
        deepStrictEqual(held, undefined)
      },
    ),
  )
})

t.test('whoever resumes at the id of an event gets what followed it', async (t) => {
  holds(
    t,
    fc.property(histories, prefixes, fc.integer({ min: 1, max: 5 }), (history, prefix, seenMax) => {
      const progress = { id: 'n', revision: history.length, historyFrom: 1 }
      const limits = { seenMax, readMax: 3 }
      const { all } = readOn(history, { prefix, revision: 0, position: endPosition }, limits)
      for (const [index, { id }] of all.entries()) {
        const place = watchPlace(progress, { prefix, lastEventId: id })
        deepStrictEqual(told(readOn(history, place, limits).all), told(all.slice(index + 1)))
      }
    }),
  )
})

t.test('where a watcher begins', async (t) => {
  const progress = { id: 'n', revision: 9, historyFrom: 4 }
  const at = (revision: number, position = endPosition) => ({ prefix: '', revision, position })
  t.strictSame(watchPlace(progress, {}), at(9))
  t.strictSame(watchPlace(progress, { fromRevision: 4 }), at(3))
  t.strictSame(watchPlace(progress, { fromRevision: 10 }), at(9))
  t.strictSame(watchPlace(progress, { lastEventId: '3', fromRevision: 8 }), at(3))
  t.strictSame(watchPlace(progress, { lastEventId: '4.0' }), at(4, 0))
  t.strictSame(watchPlace(progress, { lastEventId: '9.9999999999' }), at(9))
  t.strictSame(watchPlace(progress, { prefix: 'p' }), { ...at(9), prefix: 'p' })
  for (const wishes of [{ fromRevision: 3 }, { lastEventId: '2' }, { lastEventId: '3.7' }]) {
    t.throws(() => watchPlace(progress, wishes), {
      code: 'events-compacted',
      facts: { historyFrom: 4 },
    })
  }
  for (const wishes of [{ fromRevision: 11 }, { lastEventId: '10' }, { lastEventId: '10.0' }]) {
    t.throws(() => watchPlace(progress, wishes), {
      code: 'revision-not-found',
      facts: { currentRevision: 9 },
    })
  }
})
