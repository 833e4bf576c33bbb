import t from 'tap'
import { type Demand, type FoundLock, judgeLock } from '../../src/locks/judge.ts'
import type { Asking } from '../../src/locks/rows.ts'
import { asking, holder, settings, unheld } from './found-lock.ts'

const shared = { mode: 'shared' } as const
const acquire = (name: string, more: Partial<Asking> = {}, waits = false): Demand => ({
  kind: 'acquire',
  asking: asking(name, more),
  waits,
})
const release = (name: string, token = 1): Demand => ({ kind: 'release', holder: name, token })
const leave = (name: string, isUnwanted = false): Demand => ({
  kind: 'leave',
  requestId: `r-${name}`,
  holder: name,
  isUnwanted,
})
const waiting = (name: string, more: Partial<Asking> = {}) => ({
  ...asking(name, more),
  begunAt: settings.now - 100,
})
const heldBy = (...names: string[]) => ({ holders: names.map((name) => holder(name)) })
const sharedBy = (...names: string[]) => ({ holders: names.map((name) => holder(name, shared)) })
const line = (...names: string[]) => ({ line: names.map((name) => waiting(name)) })

interface Case {
  found?: Partial<FoundLock>
  demands: Demand[]
  verdicts: string[]
  /** Who has the lock and who waits for it afterwards. */
  holders: string[]
  line?: string[]
  events?: string[]
}

const cases: Record<string, Case> = {
  'what is free is granted': {
    demands: [acquire('a')],
    verdicts: ['granted'],
    holders: ['a'],
    events: ['granted a'],
  },
  'what is held is refused at once, or waited for': {
    found: heldBy('a'),
    demands: [acquire('b'), acquire('c', {}, true), acquire('d', shared, true)],
    verdicts: ['held', 'waits', 'waits'],
    holders: ['a'],
    line: ['c', 'd'],
    events: ['waiting c', 'waiting d'],
  },
  'of two in one batch the first gets it': {
    demands: [acquire('a'), acquire('b')],
    verdicts: ['granted', 'held'],
    holders: ['a'],
  },
  'several share it, up to so many': {
    found: sharedBy('a'),
    demands: [acquire('b', shared), acquire('c', shared), acquire('d', shared)],
    verdicts: ['granted', 'granted', 'held'],
    holders: ['a', 'b', 'c'],
  },
  'who has it asks again': {
    found: heldBy('a'),
    demands: [acquire('a'), acquire('a', { metadata: '{}' }), acquire('a', shared)],
    verdicts: ['granted', 'granted', 'other-mode'],
    holders: ['a'],
    events: ['changed a'],
  },
  'a release lets the first of the line in': {
    found: { ...heldBy('a'), ...line('b', 'c') },
    demands: [release('a')],
    verdicts: ['freed'],
    holders: ['b'],
    line: ['c'],
    events: ['released a', 'granted b'],
  },
  'a release lets all at the head in who share it': {
    found: {
      ...heldBy('a'),
      line: [waiting('b', shared), waiting('c', shared), waiting('d'), waiting('e', shared)],
    },
    demands: [release('a')],
    verdicts: ['freed'],
    holders: ['b', 'c'],
    line: ['d', 'e'],
  },
  'a release with another token is none': {
    found: heldBy('a'),
    demands: [release('a', 2), release('b')],
    verdicts: ['lost', 'lost'],
    holders: ['a'],
    events: [],
  },
  'who comes after a release in the same batch comes after the line': {
    found: { ...heldBy('a'), ...line('b') },
    demands: [release('a'), acquire('c', {}, true)],
    verdicts: ['freed', 'waits'],
    holders: ['b'],
    line: ['c'],
  },
  'who would share does not overtake one who wants it alone': {
    found: { ...sharedBy('a'), ...line('b') },
    demands: [acquire('c', shared), acquire('d', shared, true)],
    verdicts: ['held', 'waits'],
    holders: ['a'],
    line: ['b', 'd'],
  },
  'who has the higher priority overtakes, and lines up before': {
    found: { ...sharedBy('a'), ...line('b') },
    demands: [acquire('c', { ...shared, priority: 1 }), acquire('d', { priority: 1 }, true)],
    verdicts: ['granted', 'waits'],
    holders: ['a', 'c'],
    line: ['d', 'b'],
  },
  'nobody overtakes where more wait than were read': {
    found: { ...sharedBy('a'), ...line('b'), hasMore: true },
    demands: [acquire('c', shared), acquire('d', { ...shared, priority: 1 })],
    verdicts: ['held', 'granted'],
    holders: ['a', 'd'],
    line: ['b'],
  },
  'what has run out is granted to the line first': {
    found: { ...heldBy('a'), expired: new Set(['a']), ...line('b') },
    demands: [release('a'), acquire('c')],
    verdicts: ['lost', 'held'],
    holders: ['b'],
    events: ['expired a', 'granted b'],
  },
  'a delay follows what has run out, for all': {
    found: {
      holders: [holder('a', { lockDelayMs: 5000 })],
      expired: new Set(['a']),
      ...line('b'),
    },
    demands: [acquire('a'), acquire('c', shared, true)],
    verdicts: ['held', 'waits'],
    holders: [],
    line: ['b', 'c'],
    events: ['expired a', 'waiting c'],
  },
  'a delay ends in time': {
    found: { delayedUntil: settings.now, ...line('b') },
    demands: [{ kind: 'settle' }],
    verdicts: ['noted'],
    holders: ['b'],
  },
  'no delay follows a release': {
    found: { holders: [holder('a', { lockDelayMs: 5000 })] },
    demands: [release('a'), acquire('b')],
    verdicts: ['freed', 'granted'],
    holders: ['b'],
  },
  'force throws out all, and ends a delay': {
    found: { ...sharedBy('a', 'b'), delayedUntil: settings.now + 5000, ...line('c') },
    demands: [{ kind: 'force' }],
    verdicts: ['freed'],
    holders: ['c'],
    events: ['forced a', 'forced b', 'granted c'],
  },
  'who leaves makes room behind': {
    found: { ...sharedBy('a'), line: [waiting('b'), waiting('c', shared)] },
    demands: [leave('b')],
    verdicts: ['held'],
    holders: ['a', 'c'],
    events: ['granted c'],
  },
  'who leaves far behind is found': {
    found: { ...heldBy('a'), ...line('b'), hasMore: true, present: new Set(['r-z']) },
    demands: [leave('z')],
    verdicts: ['held'],
    holders: ['a'],
    line: ['b'],
  },
  'who leaves too late has it': {
    found: { holders: [holder('a', { requestId: 'r-a' })] },
    demands: [leave('a')],
    verdicts: ['granted'],
    holders: ['a'],
  },
  'what nobody wants any more is given free': {
    found: { holders: [holder('a', { requestId: 'r-a' })], ...line('b') },
    demands: [leave('a', true)],
    verdicts: ['noted'],
    holders: ['b'],
    events: ['released a', 'granted b'],
  },
  'what another request was told of too is kept': {
    found: { holders: [holder('a', { requestId: 'r-a' })] },
    demands: [acquire('a', { requestId: 'again' }), leave('a', true)],
    verdicts: ['granted', 'noted'],
    holders: ['a'],
    events: [],
  },
  'all requests of one who gets it are answered': {
    found: {
      ...heldBy('a'),
      line: [waiting('b'), waiting('c'), waiting('b', { requestId: 'again' })],
    },
    demands: [release('a')],
    verdicts: ['freed'],
    holders: ['b'],
    line: ['c'],
    events: ['released a', 'granted b'],
  },
  'who ends a deadlock waits no more': {
    found: { ...sharedBy('a'), line: [waiting('b'), waiting('c', shared)] },
    demands: [
      { kind: 'break', requestId: 'r-b', cycle: '[]' },
      { kind: 'break', requestId: 'r-b', cycle: '[]' },
    ],
    verdicts: ['deadlock', 'noted'],
    holders: ['a', 'c'],
  },
  'who ended a deadlock is told so': {
    found: { ...heldBy('a'), broken: new Map([['r-b', '[]']]), present: new Set(['r-b']) },
    demands: [leave('b')],
    verdicts: ['deadlock'],
    holders: ['a'],
  },
}

for (const [name, { found, demands, ...expected }] of Object.entries(cases)) {
  t.test(name, async (t) => {
    const lock = { ...unheld, token: 7, ...found }
    const { verdicts, writes, after } = judgeLock(lock, demands, settings)
    t.strictSame(
      verdicts.map(({ kind }) => kind),
      expected.verdicts,
    )
    t.strictSame(
      after.holders.map((one) => one.holder),
      expected.holders,
    )
    t.strictSame(
      after.line.map((one) => one.holder),
      expected.line ?? [],
    )
    const told = writes.events.map((event) =>
      event.kind === 'waiting'
        ? `waiting ${event.waiting.holder}`
        : `${event.kind} ${event.holder.holder}`,
    )
    if (expected.events !== undefined) t.strictSame(told, expected.events)
    t.strictSame(
      writes.events.map(({ event }) => event),
      writes.events.map((_, index) => index + 1),
    )
    if (writes.row === undefined) t.strictSame(after.revision, lock.revision)
    else t.equal(writes.row.after.revision, lock.revision + 1)
  })
}

t.test('tokens rise also over a takeover', async (t) => {
  const first = judgeLock({ ...unheld, token: 7 }, [acquire('a')], settings)
  t.match(first.verdicts, [{ grant: { token: 8 } }])
  const later = { ...settings, timeline: 3 }
  const second = judgeLock({ ...unheld, token: 7 }, [acquire('a')], later)
  t.match(second.verdicts, [{ grant: { token: 2 ** 41 + 1 } }])
  const third = judgeLock({ ...unheld, token: 2 ** 41 + 5 }, [acquire('a')], later)
  t.match(third.verdicts, [{ grant: { token: 2 ** 41 + 6 } }])
})

t.test('what is written is what has changed', async (t) => {
  const found = { ...unheld, ...heldBy('a'), ...line('b') }
  const { writes, granted } = judgeLock(found, [release('a'), acquire('c', {}, true)], settings)
  t.match(writes, {
    holders: [{ holder: 'b', requestId: 'r-b', expiresAt: settings.now + 1000 }],
    gone: ['a'],
    left: ['r-b'],
    waits: [{ requestId: 'r-c' }],
    broken: [],
  })
  t.match(granted, [{ requestId: 'r-b', grant: { holder: 'b' } }])
  const none = judgeLock(found, [acquire('c')], settings)
  t.equal(none.writes.row, undefined)
})
