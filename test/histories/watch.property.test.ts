import { deepStrictEqual, match, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { checkWatchers, type LoggedEvent, type WatchEvent } from './watch.ts'

const change = fc.record({
  key: fc.constantFrom('a1', 'a2', 'b1'),
  isRemoval: fc.boolean(),
  isSameRevision: fc.boolean(),
})
type Change = typeof change extends fc.Arbitrary<infer One> ? One : never

/** What a sound store logs: a revision changes no key twice, and removes nothing that is not there. */
function logOf(changes: readonly Change[]): LoggedEvent[] {
  const newest = new Map<string, LoggedEvent>()
  const log: LoggedEvent[] = []
  for (const { key, isRemoval, isSameRevision } of changes) {
    const last = log.at(-1)
    const before = newest.get(key)
    const goesOn = isSameRevision && last !== undefined && before?.revision !== last.revision
    const revision = (last?.revision ?? 0) + (goesOn ? 0 : 1)
    const position = goesOn ? last.position + 1 : 0
    const version = (before?.version ?? 0) + 1
    const isThere = before?.kind === 'put'
    const kind = isRemoval && isThere ? ('delete' as const) : ('put' as const)
    const value = kind === 'put' ? `${key}-${version}` : undefined
    const created = kind === 'put' && !isThere
    const event = { namespace: 'n', revision, position, key, kind, version, value, created }
    newest.set(key, event)
    log.push(event)
  }
  return log
}

const histories = fc.record({
  log: fc.array(change, { minLength: 4, maxLength: 30 }).map(logOf),
  prefix: fc.constantFrom('', 'a', 'a1'),
  fromRevision: fc.integer({ min: 0, max: 5 }),
})
type History = typeof histories extends fc.Arbitrary<infer One> ? One : never

function watch({ log, prefix, fromRevision }: History) {
  const received: WatchEvent[] = log.filter(
    ({ key, revision }) => key.startsWith(prefix) && revision >= fromRevision,
  )
  return { namespace: 'n', prefix, fromRevision, received }
}

/** Fails the test with the smallest history that breaks the property. */
function holds<Values>(t: Test, property: fc.IProperty<Values>): void {
  t.doesNotThrow(() => fc.assert(property, { numRuns: 500 }))
}

t.test('what a sound store sends has no fault, with a bookmark after each revision', async (t) => {
  holds(
    t,
    fc.property(histories, (history) => {
      const watcher = watch(history)
      const received = watcher.received.flatMap((event, index) => {
        const isLast = watcher.received[index + 1]?.revision !== event.revision
        return isLast ? [event, { bookmark: event.revision }] : [event]
      })
      deepStrictEqual(checkWatchers([watcher, { ...watcher, received }], history.log), [])
    }),
  )
})

/** Each breaks what was received at a place, unless that cannot be seen. */
const faults: Record<string, (events: WatchEvent[], place: number) => WatchEvent[]> = {
  'an event left out': (events, place) => events.toSpliced(place, 1),
  'an event sent twice': (events, place) =>
    events.toSpliced(place, 0, ...events.slice(place, place + 1)),
  'two events exchanged': (events, place) =>
    events.toSpliced(place, 2, ...events.slice(place, place + 2).reverse()),
  'another value': (events, place) => {
    const [event] = events.slice(place)
    return event === undefined ? events : events.with(place, { ...event, value: 'other' })
  },
}

for (const [name, breaks] of Object.entries(faults)) {
  t.test(`${name} is found wherever it is`, async (t) => {
    holds(
      t,
      fc.property(histories, fc.nat(), (history, at) => {
        const watcher = watch(history)
        // What is left out at the end may come yet.
        fc.pre(watcher.received.length > 1)
        const received = breaks(watcher.received, at % (watcher.received.length - 1))
        const found = checkWatchers([{ ...watcher, received }], history.log)
        ok(found.length > 0)
        for (const fault of found) match(fault, /^watcher 0 of n: /)
      }),
    )
  })
}
