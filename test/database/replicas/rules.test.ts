import t from 'tap'
import {
  type Choice,
  chooseReader,
  judgeReplica,
  lagMsOf,
  type PrimarySample,
  type ReadWish,
  type ReplicaAnswer,
  type ReplicaState,
  walPlace,
  walPlaceText,
} from '../../../src/database/replicas/rules.ts'

const now = 100_000
/** The clocks of PostgreSQL are far from ours. */
const clock = 5_000_000
const primary: PrimarySample = { askedAt: now - 10, clock, place: 500n, timeline: 2 }
const following: ReplicaAnswer = {
  isStandby: true,
  place: 500n,
  committedAt: clock - 60_000,
  timeline: 2,
}
const before: ReplicaState = {
  fault: undefined,
  place: 300n,
  asOf: now - 4000,
  checkedAt: now - 500,
}

const judged: [
  name: string,
  answer: Partial<ReplicaAnswer>,
  context: { primary?: PrimarySample | undefined; before?: ReplicaState | undefined },
  expected: Partial<ReplicaState>,
  lagMs?: number | undefined,
][] = [
  ['has all, long after the last commit', {}, {}, { fault: undefined, asOf: now - 10 }, 0],
  ['is ahead of the sample', { place: 700n }, {}, { asOf: now - 10, place: 700n }, 0],
  [
    'lacks some: the last commit tells, by the clock of the primary',
    { place: 499n, committedAt: clock - 2000 },
    {},
    { asOf: now - 2010 },
    2000,
  ],
  [
    'was seen further than its last commit tells',
    { place: 499n },
    { before },
    { asOf: now - 4000 },
    3990,
  ],
  [
    'has a commit from after the sample, and still lacks some',
    { place: 499n, committedAt: clock + 50 },
    {},
    { asOf: now - 10 },
    0,
  ],
  [
    'lacks some, and nothing tells how much',
    { place: 499n, committedAt: undefined },
    {},
    { fault: undefined, asOf: undefined },
    undefined,
  ],
  [
    'the primary is unknown: what is known grows old',
    { place: 900n },
    { primary: undefined, before },
    { fault: undefined, asOf: now - 4000, place: 900n },
    4000,
  ],
  [
    'was promoted',
    { isStandby: false },
    { before },
    { fault: 'it was promoted: it follows no primary any more', asOf: undefined },
  ],
  ['has nothing', { place: undefined }, {}, { fault: 'it has replayed nothing yet' }],
  [
    'stayed behind on an old timeline',
    { timeline: 1 },
    {},
    { fault: 'it is on timeline 1, and the primary on 2', asOf: undefined },
  ],
  [
    'is back: what was known before does not count',
    { place: 499n, committedAt: undefined },
    { before: { ...before, fault: 'it was away' } },
    { fault: undefined, asOf: undefined },
  ],
]

for (const [name, answer, context, expected, lagMs] of judged) {
  t.test(`a replica that ${name}`, async (t) => {
    const sample = 'primary' in context ? context.primary : primary
    const state = judgeReplica(context.before, sample, { answer: { ...following, ...answer }, now })
    t.match({ ...state }, { checkedAt: now, ...expected })
    for (const [key, value] of Object.entries(expected)) {
      t.equal(state[key as keyof ReplicaState], value, key)
    }
    if (state.fault === undefined) t.equal(lagMsOf(state, sample), lagMs)
  })
}

const good: ReplicaState = { fault: undefined, place: 500n, asOf: now - 100, checkedAt: now - 90 }
const behind: ReplicaState = { ...good, place: 400n, asOf: now - 3000 }
const unsure: ReplicaState = { ...good, place: 450n, asOf: undefined }
const away: ReplicaState = { ...good, fault: 'it is away', place: 900n }
const asked: ReadWish = { preference: 'replica' }
const onPrimary: Choice = { reader: 'primary' }
const on = (reader: number): Choice => ({ reader, waits: false })
const waitsFor = (reader: number): Choice => ({ reader, waits: true })

const chosen: [
  name: string,
  replicas: (ReplicaState | undefined)[],
  wish: Partial<ReadWish>,
  expected: Choice,
  moment?: { turn?: number; primarySeenAt?: number | undefined },
][] = [
  ['nothing asked for', [good], { preference: 'primary' }, onPrimary],
  ['no replicas', [], {}, onPrimary],
  ['none asked yet', [undefined], {}, onPrimary],
  ['one that is away', [away], {}, onPrimary],
  ['one that will do', [away, good], {}, on(1)],
  ['any lag will do', [behind], {}, on(0)],
  ['an unknown lag will do', [unsure], {}, on(0)],
  ['the limit itself', [good], { maxLagMs: 100 }, on(0)],
  ['beyond the limit', [good], { maxLagMs: 99 }, onPrimary],
  ['an unknown lag is beyond every limit', [unsure], { maxLagMs: 999_999_999 }, onPrimary],
  ['the one within the limit', [behind, good, unsure], { maxLagMs: 1000 }, on(1)],
  ['turns', [good, away, behind], {}, on(2), { turn: 1 }],
  ['turns go round', [good, away, behind], {}, on(0), { turn: 2 }],
  ['the token itself', [good], { token: 500n }, on(0)],
  ['the one that has the token', [behind, good], { token: 450n }, on(1), { turn: 0 }],
  ['the furthest is waited for', [behind, good, unsure], { token: 501n }, waitsFor(1)],
  ['none that is away is waited for', [away, behind], { token: 800n }, waitsFor(1)],
  ['a token and a limit', [behind, unsure], { token: 401n, maxLagMs: 1000 }, onPrimary],
  ['a limit and a token to wait for', [behind, good], { token: 501n, maxLagMs: 100 }, waitsFor(1)],
  [
    'no token is judged without the primary',
    [good],
    { token: 1n },
    onPrimary,
    { primarySeenAt: undefined },
  ],
  ['nor long after it was seen', [good], { token: 1n }, onPrimary, { primarySeenAt: now - 2001 }],
  ['but soon after it', [good], { token: 1n }, on(0), { primarySeenAt: now - 2000 }],
  ['without a token the primary may be away', [good], {}, on(0), { primarySeenAt: undefined }],
]

for (const [name, replicas, wish, expected, moment] of chosen) {
  t.test(`reader: ${name}`, async (t) => {
    const choice = chooseReader(
      replicas,
      { ...asked, ...wish },
      { now, turn: 0, primarySeenAt: now - 500, freshMs: 2000, ...moment },
    )
    t.strictSame(choice, expected)
  })
}

for (const text of ['0/0', '0/1A2B3C4D', '16/B374D848', 'FFFFFFFF/FFFFFFFF']) {
  t.equal(walPlaceText(walPlace(text)), text)
}
t.ok(walPlace('1/0') > walPlace('0/FFFFFFFF'))
