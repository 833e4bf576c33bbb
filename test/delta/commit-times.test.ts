import t from 'tap'
import { risingTimes, type VersionTime } from '../../src/delta/commit-times.ts'

const file = (modifiedAt: number): VersionTime => ({ modifiedAt, inCommitTimestamp: undefined })
const commit = (inCommitTimestamp: number): VersionTime => ({ modifiedAt: 9e12, inCommitTimestamp })

t.test('times of files are taken, and made to rise', async (t) => {
  t.strictSame(risingTimes([file(10), file(20), file(30.9)]), [10, 20, 30])
  t.strictSame(risingTimes([file(10), file(10), file(5), file(12)]), [10, 11, 12, 13])
  t.strictSame(risingTimes([]), [])
})

t.test('what a commit says of itself goes before the time of its file', async (t) => {
  t.strictSame(risingTimes([commit(5), commit(7), commit(9)]), [5, 7, 9])
  t.strictSame(risingTimes([commit(5), commit(5), commit(4)]), [5, 6, 7])
})

t.test(
  'files that are copies count as just before the first commit that tells its time',
  async (t) => {
    t.strictSame(
      risingTimes([file(1000), file(1001), commit(500), commit(510)]),
      [498, 499, 500, 510],
    )
    t.strictSame(risingTimes([file(100), file(1001), commit(500)]), [100, 499, 500])
    t.strictSame(
      risingTimes([file(100), commit(500), file(9000), commit(600)]),
      [100, 500, 599, 600],
    )
  },
)
