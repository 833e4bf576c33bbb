import t from 'tap'
import { Gathering } from '../../src/commits/gathering.ts'

const cases: {
  of: string
  units: number
  ms: number
  later: number
  here: number
  wait: number
}[] = [
  { of: 'a lone caller', units: 1, ms: 5, later: 0, here: 1, wait: 0 },
  { of: 'the first of many to come back', units: 31, ms: 5, later: 0, here: 1, wait: 2 },
  { of: 'the wait that is left', units: 31, ms: 5, later: 1.5, here: 14, wait: 0.5 },
  { of: 'half of them', units: 31, ms: 5, later: 0, here: 15, wait: 0 },
  { of: 'the end of the wait', units: 31, ms: 5, later: 2, here: 1, wait: 0 },
  { of: 'a short batch', units: 4, ms: 1, later: 0, here: 1, wait: 0.5 },
  { of: 'one of two', units: 2, ms: 5, later: 0, here: 1, wait: 0 },
]

for (const { of, units, ms, later, here, wait } of cases) {
  t.test(of, async (t) => {
    const gathering = new Gathering()
    t.equal(gathering.waitMs(here, 100), 0, 'before the first batch')
    gathering.answered({ units, ms }, 100)
    t.equal(gathering.waitMs(here, 100 + later), wait)
  })
}
