import t from 'tap'
import {
  commitInfoOf,
  failureKind,
  failureKinds,
  type MirrorRow,
  mirrorState,
  nextAttempt,
  storeOf,
} from '../../src/mirror/rules.ts'
import { Problem } from '../../src/problems.ts'
import { S3Error } from '../../src/storage/s3-connection.ts'

const row: MirrorRow & { version: number } = {
  version: 7,
  publishedVersion: 7,
  mirrorState: 'current',
  lastError: null,
  nextRetryAt: null,
  pausedAt: null,
  fork: null,
  lagMs: null,
}

t.test('a mirror with nothing to publish has no lag', async (t) => {
  t.strictSame(mirrorState(row), { state: 'current', publishedVersion: 7, pending: 0, lagMs: 0 })
})

t.test('the lag is the age of the oldest commit that waits', async (t) => {
  const behind = { ...row, mirrorState: 'behind', publishedVersion: 4, lagMs: 12.6 } as const
  t.strictSame(mirrorState(behind), {
    state: 'behind',
    publishedVersion: 4,
    pending: 3,
    lagMs: 13,
  })
})

t.test('a clock that was set back makes no negative lag', async (t) => {
  t.match(mirrorState({ ...row, publishedVersion: 4, lagMs: -5 }), { lagMs: 0 })
})

t.test('what is known of failures, pauses and forks is told', async (t) => {
  const failed = { lastError: 'disk full', nextRetryAt: '2026-11-20T00:00:00.000Z' }
  const pausedAt = '2026-11-20T00:00:01.000Z'
  const fork = { version: 7, ours: { sizeInBytes: 3 } }
  t.strictSame(
    mirrorState({
      ...row,
      ...failed,
      publishedVersion: 6,
      mirrorState: 'paused',
      pausedAt,
      lagMs: 1,
      fork: JSON.stringify(fork),
    }),
    { state: 'paused', publishedVersion: 6, pending: 1, ...failed, pausedAt, lagMs: 1, fork },
  )
})

const fromS3 = (name: string, httpStatusCode?: number) =>
  new S3Error('Listing', { name, $metadata: { ...(httpStatusCode && { httpStatusCode }) } })

const errors: [error: Error, kind: string][] = [
  [new Problem('location-not-allowed', 'no'), 'location-not-allowed'],
  [Object.assign(new Error('no'), { code: 'EACCES' }), 'no-permission'],
  [Object.assign(new Error('no'), { code: 'EROFS' }), 'no-permission'],
  [fromS3('AccessDenied', 403), 'no-permission'],
  [Object.assign(new Error('no'), { code: 'EISDIR' }), 'obstructed'],
  [fromS3('NoSuchBucket', 404), 'obstructed'],
  [fromS3('InvalidRequest', 400), 'location-not-allowed'],
  [fromS3('SlowDown', 503), 'storage-unavailable'],
  [fromS3('TimeoutError'), 'storage-unavailable'],
  [Object.assign(new Error('no'), { code: 'ENOSPC' }), 'storage-unavailable'],
  [Object.assign(new Error('no'), { code: 17 }), 'storage-unavailable'],
  [new Error('socket hang up'), 'storage-unavailable'],
]

for (const [error, kind] of errors) {
  t.equal(failureKind(error), kind, `${error.message} is ${kind}`)
}

t.test(
  'the wait doubles with each attempt, is bounded, and is spread over its later half',
  async (t) => {
    const waits = (random: number) =>
      [1, 2, 3, 10, 11, 1000].map((n) => nextAttempt('storage-unavailable', n, random).delayMs)
    t.strictSame(waits(1), [100, 200, 400, 51_200, 60_000, 60_000])
    t.strictSame(waits(0), [50, 100, 200, 25_600, 30_000, 30_000])
    t.strictSame(waits(0.5), [75, 150, 300, 38_400, 45_000, 45_000])
  },
)

t.test('what may pass by itself is retried for ever', async (t) => {
  for (const attempts of [1, 5, 1000]) {
    t.equal(nextAttempt('storage-unavailable', attempts, 0.5).state, 'retrying')
  }
})

t.test('what needs a person is retried a few times, and then seldom', async (t) => {
  for (const kind of ['location-not-allowed', 'no-permission', 'obstructed'] as const) {
    const states = [1, 4, 5, 6].map((attempts) => nextAttempt(kind, attempts, 1).state)
    t.strictSame(states, ['retrying', 'retrying', 'failed', 'failed'], kind)
    t.equal(nextAttempt(kind, 5, 1).delayMs, 600_000)
    t.equal(nextAttempt(kind, 5, 0).delayMs, 300_000)
  }
})

t.test('a fork is not retried', async (t) => {
  t.strictSame(nextAttempt('forked', 1, 0.5), { state: 'forked', delayMs: undefined })
  t.ok(failureKinds.includes('forked'))
})

t.test('a store is a bucket, or this machine', async (t) => {
  t.equal(storeOf('s3://lake/sales/orders'), 's3://lake')
  t.equal(storeOf('s3://lake'), 's3://lake')
  t.equal(storeOf('/data/tables/orders'), 'local')
  t.equal(storeOf('/data/s3://odd'), 'local')
})

const info = { operation: 'WRITE', timestamp: 5, inCommitTimestamp: 6, isBlindAppend: true }
const heads: [name: string, head: string, told: object][] = [
  [
    'is told in part',
    `{"commitInfo":${JSON.stringify({ ...info, readVersion: 3 })}}\n`,
    {
      commitInfo: { operation: 'WRITE', timestamp: 5, isBlindAppend: true },
      inCommitTimestamp: 6,
    },
  ],
  [
    'is found behind other actions',
    '{"add":{}}\n{"commitInfo":{"operation":"X"}}',
    {
      commitInfo: { operation: 'X' },
    },
  ],
  [
    'is cut short',
    `{"commitInfo":{"engineInfo":"${'x'.repeat(5000)}"}}`,
    {
      commitInfo: { engineInfo: 'x'.repeat(200) },
    },
  ],
  [
    'may have members of strange types',
    '{"commitInfo":{"operation":{},"timestamp":[1],"inCommitTimestamp":"7"}}',
    {
      commitInfo: {},
    },
  ],
  ['may be broken', '{"commitInfo":{"operation":', {}],
  ['may be no object', '{"commitInfo":null}', {}],
  ['may be absent', 'foreign\n', {}],
]

for (const [name, head, told] of heads) {
  t.test(`a commitInfo ${name}`, async (t) => t.strictSame(commitInfoOf(head), told))
}
