import t from 'tap'
import { mirrorState, retryDelayMs } from '../../src/mirror/rules.ts'

const row = {
  version: 7,
  publishedVersion: 7,
  state: 'publishing',
  lastError: null,
  nextRetryAt: null,
  lagMs: null,
}

t.test('a mirror with nothing to publish is current', async (t) => {
  t.strictSame(mirrorState(row), { state: 'current', publishedVersion: 7, pending: 0, lagMs: 0 })
})

t.test('a mirror with something to publish is behind, by the age of the oldest', async (t) => {
  t.strictSame(mirrorState({ ...row, publishedVersion: 4, lagMs: 12.6 }), {
    state: 'behind',
    publishedVersion: 4,
    pending: 3,
    lagMs: 13,
  })
})

t.test('a clock that was set back makes no negative lag', async (t) => {
  t.match(mirrorState({ ...row, publishedVersion: 4, lagMs: -5 }), { lagMs: 0 })
})

t.test('a failed attempt is told with its reason and the time of the next', async (t) => {
  const failed = { lastError: 'disk full', nextRetryAt: '2026-11-20T00:00:00.000Z' }
  t.strictSame(
    mirrorState({ ...row, publishedVersion: 6, state: 'retrying', lagMs: 1, ...failed }),
    { state: 'retrying', publishedVersion: 6, pending: 1, lagMs: 1, ...failed },
  )
})

t.test('a fork is told as such', async (t) => {
  t.match(mirrorState({ ...row, publishedVersion: 6, state: 'forked', lastError: 'other bytes' }), {
    state: 'forked',
    lastError: 'other bytes',
  })
})

t.test('the wait doubles with each attempt and is bounded', async (t) => {
  const waits = [1, 2, 3, 10, 11, 1000].map(retryDelayMs)
  t.strictSame(waits, [100, 200, 400, 51_200, 60_000, 60_000])
})
