import t from 'tap'
import {
  type Bookmark,
  checkWatchers,
  type LoggedEvent,
  truthOf,
  type WatchEvent,
  type Watcher,
  watchChecks,
} from './watch.ts'

type CheckName = keyof typeof watchChecks

function event(
  [revision, position]: [number, number],
  key: string,
  facts: Partial<WatchEvent> = {},
): LoggedEvent {
  const { kind = 'put', version = 1, created = version === 1 } = facts
  const value = kind === 'put' ? `${key}${version}` : undefined
  return { namespace: 'n', revision, position, key, kind, version, value, created, ...facts }
}

const log = [
  event([1, 0], 'a1'),
  event([2, 0], 'a1', { version: 2 }),
  event([2, 1], 'b1'),
  event([2, 2], 'a2'),
  event([3, 0], 'a1', { kind: 'delete', version: 3 }),
  event([5, 0], 'b1', { version: 2 }),
  event([6, 0], 'a1', { version: 4, created: true }),
  event([6, 1], 'a2', { kind: 'expire', version: 2 }),
  event([7, 0], 'a2', { version: 3, created: true }),
]

/** What is right for all that starts with a. */
const places = ['1.0', '2.0', '2.2', '3.0', '6.0', '6.1', '7.0']

/** Takes events by their places, and bookmarks as numbers. */
function received(...ones: (string | number | WatchEvent)[]): (WatchEvent | Bookmark)[] {
  return ones.map((one) => {
    if (typeof one === 'object') return one
    if (typeof one === 'number') return { bookmark: one }
    return at(one)
  })
}

function at(place: string, facts: Partial<WatchEvent> = {}): WatchEvent {
  const [revision, position] = place.split('.').map(Number)
  const found = log.find((one) => one.revision === revision && one.position === position)
  if (found === undefined) throw new Error(`nothing at ${place}`)
  return { ...found, ...facts }
}

function watcher(ones: Parameters<typeof received>, facts: Partial<Watcher> = {}): Watcher {
  return { namespace: 'n', prefix: 'a', fromRevision: 1, received: received(...ones), ...facts }
}

const sound: Record<string, Watcher> = {
  'all of it': watcher(places),
  'with bookmarks': watcher([0, '1.0', '2.0', '2.2', 2, 2, '3.0', 5, '6.0', '6.1', '7.0', 9]),
  'from a revision on': watcher(['6.0', '6.1', '7.0'], { fromRevision: 4 }),
  'not yet all': watcher(['1.0', '2.0', '2.2']),
  'nothing yet': watcher([]),
  'cut inside a revision': watcher(['1.0', '2.0'], { wasCut: true }),
  'another namespace': watcher([7], { namespace: 'other' }),
  'in lists': watcher(
    places.map((place) => at(place, { batch: at(place).revision > 2 ? 2 : at(place).revision })),
  ),
  'with what was there before': watcher([
    at('1.0', { previous: null }),
    at('2.0', { previous: { version: 1, value: 'a11' } }),
    '2.2',
    at('3.0', { previous: { version: 2, value: 'a12' } }),
    at('6.0', { previous: null }),
    '6.1',
    '7.0',
  ]),
}

for (const [name, one] of Object.entries(sound)) {
  t.test(`a watch without fault: ${name}`, async (t) => {
    t.same(checkWatchers([one], log), [])
  })
}

interface Planted {
  watcher: Watcher
  /** Which checks find something; the others find nothing. */
  found: Partial<Record<CheckName, string | RegExp>>
}

const planted: Record<string, Planted> = {
  'a key of another prefix': {
    watcher: watcher(['1.0', '2.0', '2.1', '2.2', '3.0']),
    found: { filter: 'put of b1 at 2.1 came, for a* from 1 on' },
  },
  'an event from before': {
    watcher: watcher(['3.0', '6.0', '6.1'], { fromRevision: 4 }),
    found: { filter: 'delete of a1 at 3.0 came, for a* from 4 on' },
  },
  'revisions that go back': {
    watcher: watcher(['1.0', '3.0', '2.0', '2.2', '6.0', '6.1']),
    found: { ordered: 'put of a1 at 2.0 came after delete of a1 at 3.0' },
  },
  'positions that go back': {
    watcher: watcher(['1.0', '2.2', '2.0', '3.0']),
    found: { ordered: 'put of a1 at 2.0 came after put of a2 at 2.2' },
  },
  'an event that comes twice': {
    watcher: watcher(['1.0', '2.0', '2.2', '3.0', '3.0']),
    found: { unique: 'delete of a1 at 3.0 came 2 times' },
  },
  'a revision sent again after a break': {
    watcher: watcher(['1.0', '2.0', '2.2', 1, '2.0', '2.2']),
    found: { ordered: /./, unique: 'put of a1 at 2.0 came 2 times' },
  },
  'a revision of which the end is missing': {
    watcher: watcher(['1.0', '2.0', '3.0']),
    found: {
      atomic: 'revision 2 came without put of a2 at 2.2',
      reliable: 'put of a2 at 2.2 is missing between 1.0 and 3.0',
    },
  },
  'a last revision of which the end is missing, though nothing was cut': {
    watcher: watcher(['1.0', '2.0']),
    found: { atomic: 'revision 2 came without put of a2 at 2.2' },
  },
  'a resume inside a revision': {
    watcher: watcher(['2.2', '3.0'], { fromRevision: 2 }),
    found: {
      atomic: 'revision 2 came without put of a1 at 2.0',
      resumable: 'put of a1 at 2.0 is missing before the first, at 2.2',
    },
  },
  'a resume after a cut that forgets the rest of the revision': {
    watcher: watcher(['1.0', '2.0', '3.0'], { wasCut: true }),
    found: { atomic: /2\.2/, reliable: /2\.2/ },
  },
  'a bookmark inside a revision': {
    watcher: watcher(['1.0', '2.0', 1, '2.2']),
    found: { atomic: 'revision 2 came without put of a2 at 2.2' },
  },
  'a revision in two lists': {
    watcher: watcher([at('1.0', { batch: 0 }), at('2.0', { batch: 1 }), at('2.2', { batch: 2 })]),
    found: { atomic: 'revision 2 was split over 2 lists' },
  },
  'a revision that is left out': {
    watcher: watcher(['1.0', '2.0', '2.2', '6.0', '6.1']),
    found: { reliable: 'delete of a1 at 3.0 is missing between 1.0 and 6.1' },
  },
  'a watch that starts too late': {
    watcher: watcher(['3.0', '6.0', '6.1'], { fromRevision: 1 }),
    found: { resumable: /put of a1 at 1\.0 is missing before the first, at 3\.0/ },
  },
  'a bookmark before what it promises': {
    watcher: watcher(['1.0', '2.0', '2.2', 3, '6.0', '6.1']),
    found: {
      reliable: 'delete of a1 at 3.0 is missing between 1.0 and 6.1',
      bookmarkable: 'delete of a1 at 3.0 did not come before bookmark 3',
    },
  },
  'a bookmark when nothing came': {
    watcher: watcher([1]),
    found: { bookmarkable: 'put of a1 at 1.0 did not come before bookmark 1' },
  },
  'an event after its bookmark': {
    watcher: watcher(['1.0', 2, '2.0', '2.2']),
    found: { bookmarkable: /put of a2 at 2\.2 came after bookmark 2/ },
  },
  'bookmarks that go back': {
    watcher: watcher(['1.0', '2.0', '2.2', 2, 1]),
    found: { bookmarkable: 'bookmark 1 came after bookmark 2' },
  },
  'an event after a bookmark that a lower one followed': {
    watcher: watcher(['1.0', '2.0', '2.2', 3, 2, '3.0']),
    found: { bookmarkable: /delete of a1 at 3\.0 came after bookmark 3/ },
  },
  'an event from nowhere': {
    watcher: watcher(['1.0', '2.0', '2.2', '3.0', event([4, 0], 'a9')]),
    found: { content: 'put of a9 at 4.0 came from nowhere' },
  },
  'another value': {
    watcher: watcher([at('1.0', { value: 'z' })]),
    found: { content: 'put of a1 at 1.0 has value z, not a11' },
  },
  'another kind': {
    watcher: watcher(['1.0', '2.0', '2.2', at('3.0', { kind: 'expire' })]),
    found: { content: 'expire of a1 at 3.0 has kind expire, not delete' },
  },
  'a version that does not follow': {
    watcher: watcher(['1.0', at('2.0', { version: 3 }), '2.2']),
    found: {
      content: 'put of a1 at 2.0 has version 3, not 2',
      previous: 'put of a1 at 2.0 has version 3 where 2 follows',
    },
  },
  'another value before': {
    watcher: watcher(['1.0', at('2.0', { previous: { version: 1, value: 'z' } }), '2.2']),
    found: { previous: 'put of a1 at 2.0 was told to follow 1 with z, not 1 with a11' },
  },
  'nothing before where something was': {
    watcher: watcher(['1.0', at('2.0', { previous: null }), '2.2']),
    found: { previous: 'put of a1 at 2.0 was told to follow nothing, not 1 with a11' },
  },
  'a deleted value before': {
    watcher: watcher([at('6.0', { previous: { version: 3, value: undefined } }), '6.1'], {
      fromRevision: 4,
    }),
    found: { previous: 'put of a1 at 6.0 was told to follow 3 with undefined, not nothing' },
  },
  'created where something was': {
    watcher: watcher(['1.0', at('2.0', { created: true }), '2.2']),
    found: {
      content: 'put of a1 at 2.0 has created true, not false',
      created: 'put of a1 at 2.0 says that it created its key, which was there',
    },
  },
  'not created where nothing was': {
    watcher: watcher([at('6.0', { created: false }), '6.1'], { fromRevision: 4 }),
    found: {
      content: 'put of a1 at 6.0 has created false, not true',
      created: 'put of a1 at 6.0 does not say that it created its key, which was not there',
    },
  },
  'created by a delete': {
    watcher: watcher(['1.0', '2.0', '2.2', at('3.0', { created: true })]),
    found: {
      content: /./,
      created: 'delete of a1 at 3.0 says that it created its key, which was there',
    },
  },
}

for (const [name, { watcher, found }] of Object.entries(planted)) {
  t.test(`a fault is found: ${name}`, async (t) => {
    for (const [check, look] of Object.entries(watchChecks)) {
      const faults = look(watcher, truthOf(log))
      const right = found[check as CheckName]
      if (right === undefined) t.same(faults, [], check)
      else t.match(faults.join('\n'), right, check)
    }
  })
}

t.test('faults are told with their watcher and the guarantee', async (t) => {
  t.same(checkWatchers([watcher(places), watcher(['1.0', '2.0', '2.2', 2, 1])], log), [
    'watcher 1 of n: bookmarkable: bookmark 1 came after bookmark 2',
  ])
})

t.test('a log is held to its own promises', async (t) => {
  const faulty = [
    event([1, 0], 'a'),
    event([2, 0], 'a', { version: 3 }),
    event([4, 0], 'b', { created: false }),
    event([3, 0], 'c'),
    event([3, 0], 'd'),
    event([5, 0], 'e', { kind: 'delete', created: true }),
  ]
  t.same(checkWatchers([], faulty), [
    'log of n: put of c at 3.0 came after put of b at 4.0',
    'log of n: put of c at 3.0 came 2 times',
    'log of n: put of a at 2.0 has version 3 where 2 follows',
    'log of n: put of b at 4.0 does not say that it created its key, which was not there',
    'log of n: delete of e at 5.0 says that it created its key, which was not there',
  ])
})

t.test('a store may count versions in another way', async (t) => {
  const restarting = [
    event([1, 0], 'a'),
    event([2, 0], 'a', { kind: 'delete', version: 1, created: false }),
    event([3, 0], 'a'),
  ]
  t.not(checkWatchers([], restarting).length, 0)
  const kept = checkWatchers([], restarting, ({ kind, created }, before) =>
    created ? 1 : (before?.version ?? 0) + (kind === 'put' ? 1 : 0),
  )
  t.same(kept, [])
})
