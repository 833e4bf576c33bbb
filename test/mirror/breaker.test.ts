import fc from 'fast-check'
import t from 'tap'
import { type Attempt, type AttemptEnd, Breaker } from '../../src/mirror/breaker.ts'

const lake = 's3://lake'

/** A breaker without dice, of which so many tables of a store have just failed. */
function breakerAfter(failures: number, now = 0): { breaker: Breaker; changes: unknown[] } {
  const breaker = new Breaker(() => 1)
  const changes = []
  for (let table = 0; table < failures; table += 1) {
    changes.push(tryOne(breaker, `t${table}`, 'failed', now))
  }
  return { breaker, changes }
}

function tryOne(breaker: Breaker, tableId: string, end: AttemptEnd, now: number) {
  const attempt = { tableId, store: lake }
  breaker.begin(attempt, now)
  return breaker.end(attempt, end, now)
}

t.test('four tables that fail are four tables that fail', async (t) => {
  const { breaker } = breakerAfter(4)
  t.equal(breaker.standing(lake, 0), 'works')
  t.strictSame(breaker.resting(), [])
})

t.test('one table that fails again and again is one', async (t) => {
  const { breaker } = breakerAfter(1)
  for (let again = 0; again < 20; again += 1) tryOne(breaker, 't0', 'failed', 0)
  t.equal(breaker.standing(lake, 0), 'works')
})

t.test('a success among failures says that the store works', async (t) => {
  const { breaker } = breakerAfter(4)
  tryOne(breaker, 'sound', 'worked', 0)
  for (const table of ['t0', 't1', 't2', 't3']) tryOne(breaker, table, 'failed', 0)
  t.equal(breaker.standing(lake, 0), 'works')
})

t.test('the fifth table leaves the store alone, and no other', async (t) => {
  const { breaker, changes } = breakerAfter(5)
  t.strictSame(changes, [undefined, undefined, undefined, undefined, 'opened'])
  t.equal(breaker.standing(lake, 999), 'rests')
  t.equal(breaker.standing('local', 0), 'works')
  t.strictSame(breaker.resting(), [lake])
})

t.test('after a rest one table is tried, and the store works again when that works', async (t) => {
  const { breaker } = breakerAfter(5)
  t.equal(breaker.standing(lake, 1000), 'probe')
  const probe = { tableId: 't1', store: lake }
  breaker.begin(probe, 1000)
  t.equal(breaker.standing(lake, 1000), 'rests', 'while one is tried no other is')
  t.equal(breaker.end(probe, 'worked', 1100), 'closed')
  t.equal(breaker.standing(lake, 1100), 'works')
})

t.test('the rests grow up to half a minute', async (t) => {
  const { breaker } = breakerAfter(5)
  const rests = []
  let now = 0
  for (let probe = 0; probe < 7; probe += 1) {
    const began = now
    while (breaker.standing(lake, now) === 'rests') now += 100
    rests.push(now - began)
    t.equal(tryOne(breaker, 't1', 'failed', now), undefined)
  }
  t.strictSame(rests, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
})

t.test('a probe that never asked the store leaves its place to another', async (t) => {
  const { breaker } = breakerAfter(5)
  tryOne(breaker, 't1', 'none', 1000)
  t.equal(breaker.standing(lake, 1000), 'probe')
})

t.test('what began before the rest and fails in it tells nothing new', async (t) => {
  const breaker = new Breaker(() => 1)
  const late = { tableId: 'late', store: lake }
  breaker.begin(late, 0)
  for (let table = 0; table < 5; table += 1) tryOne(breaker, `t${table}`, 'failed', 0)
  const probe = { tableId: 't1', store: lake }
  breaker.begin(probe, 1000)
  breaker.end(late, 'failed', 1000)
  t.equal(breaker.standing(lake, 1000), 'rests', 'the probe is still under way')
  breaker.end(probe, 'worked', 1000)
  t.equal(breaker.standing(lake, 1000), 'works')
})

t.test('somebody who asks for it gets the next probe at once', async (t) => {
  const { breaker } = breakerAfter(5)
  breaker.hurry(10)
  t.equal(breaker.standing(lake, 10), 'probe')
})

t.test('an attempt at a store that is not known says nothing', async (t) => {
  const breaker = new Breaker(() => 1)
  const attempt: Attempt = { tableId: 't', store: undefined }
  breaker.begin(attempt, 0)
  t.equal(breaker.end(attempt, 'failed', 0), undefined)
  t.strictSame(breaker.resting(), [])
})

type Step =
  | { kind: 'begin'; table: number; store: number }
  | { kind: 'end'; which: number; end: AttemptEnd }
  | { kind: 'wait'; ms: number }
  | { kind: 'hurry' }

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('begin' as const),
      table: fc.nat(9),
      store: fc.nat(1),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      which: fc.nat(20),
      end: fc.constantFrom<AttemptEnd>(...Array<AttemptEnd>(12).fill('failed'), 'worked', 'none'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(40_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hurry' as const) }) },
)

/** Plays a history on a breaker, and checks each promise as it goes. */
class Play {
  readonly #breaker = new Breaker(() => 0)
  #now = 0
  readonly #underWay: Attempt[] = []
  readonly #probes = new Set<Attempt>()
  /** Tables that failed since the last success, by store. */
  readonly #failed = new Map<string, Set<string>>()
  readonly changes = { opened: 0, closed: 0 }

  step(step: Step): void {
    if (step.kind === 'wait') this.#now += step.ms
    else if (step.kind === 'hurry') this.#breaker.hurry(this.#now)
    else if (step.kind === 'begin') this.#begin(`t${step.table}`, `s3://${step.store}`)
    else this.#end(step)
    for (const store of this.#breaker.resting()) this.#checkRest(store)
  }

  #begin(tableId: string, store: string): void {
    const standing = this.#breaker.standing(store, this.#now)
    if (standing === 'rests') return
    const attempt = { tableId, store }
    this.#breaker.begin(attempt, this.#now)
    this.#underWay.push(attempt)
    if (standing === 'probe') this.#probes.add(attempt)
  }

  #end({ which, end }: { which: number; end: AttemptEnd }): void {
    const [attempt] = this.#underWay.splice(which % Math.max(1, this.#underWay.length), 1)
    if (attempt?.store === undefined) return
    const { store, tableId } = attempt
    const rested = this.#breaker.resting().includes(store)
    const failed = this.#failed.get(store) ?? new Set()
    if (end === 'failed' && !rested) this.#failed.set(store, failed.add(tableId))
    const change = this.#breaker.end(attempt, end, this.#now)
    if (change !== undefined) this.changes[change] += 1
    this.#probes.delete(attempt)
    if ((change === 'opened') !== (!rested && failed.size >= 5)) {
      throw new Error(`${failed.size} tables have failed, and the store is ${change}`)
    }
    if (change === 'opened' || end === 'worked') this.#failed.delete(store)
    if (end === 'worked') this.#checkWorks(store)
  }

  #checkWorks(store: string): void {
    for (const probe of this.#probes) if (probe.store === store) this.#probes.delete(probe)
    const standing = this.#breaker.standing(store, this.#now)
    if (standing !== 'works') throw new Error(`a success was seen, and the store ${standing}`)
  }

  #checkRest(store: string): void {
    const probes = [...this.#probes].filter((probe) => probe.store === store)
    if (probes.length > 1) throw new Error('two tables are tried at a store that rests')
    const later = this.#breaker.standing(store, this.#now + 30_000)
    if (probes.length === 0 && later !== 'probe') throw new Error('a store rests for ever')
  }
}

t.test('in any history one table at most is tried at a store that rests', async (t) => {
  const changes = { opened: 0, closed: 0 }
  fc.assert(
    fc.property(fc.array(steps, { minLength: 100, maxLength: 200 }), (history) => {
      const play = new Play()
      for (const step of history) play.step(step)
      changes.opened += play.changes.opened
      changes.closed += play.changes.closed
    }),
    { numRuns: 300 },
  )
  t.ok(changes.opened > 100, `stores were left alone ${changes.opened} times`)
  t.ok(changes.closed > 20, `and worked again ${changes.closed} times`)
})
