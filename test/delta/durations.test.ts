import t from 'tap'
import { durationMs } from '../../src/delta/durations.ts'

const day = 86_400_000
const cases: [string, number | undefined][] = [
  ['interval 30 days', 30 * day],
  ['interval 1 week', 7 * day],
  ['INTERVAL 1 Week 2 Days', 9 * day],
  ['12 hours', day / 2],
  [' interval 90 minutes 30 seconds ', 5_430_000],
  ['interval 5 milliseconds', 5],
  ['interval 5000 microseconds', 5],
  ['interval 0 days', 0],
  ['', undefined],
  ['interval', undefined],
  ['interval 1 month', undefined],
  ['interval 1 year', undefined],
  ['interval days', undefined],
  ['interval 1 dayss', undefined],
  ['interval 1 daysago', undefined],
  ['interval -1 days', undefined],
  ['7', undefined],
]

for (const [text, ms] of cases) {
  t.equal(durationMs(text), ms, JSON.stringify(text))
}
