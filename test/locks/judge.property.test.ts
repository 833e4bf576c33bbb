import fc from 'fast-check'
import t from 'tap'
import { type Demand, type FoundLock, judgeLock } from '../../src/locks/judge.ts'
import type { Asking, LockMode } from '../../src/locks/rows.ts'
import { settings, unheld } from './found-lock.ts'
import { LockModel } from './lock-model.ts'

type Step =
  | {
      kind: 'acquire'
      holder: number
      mode: LockMode
      priority: number
      waits: boolean
      ttl: number
      delay: number
    }
  | { kind: 'release'; holder: number }
  | { kind: 'leave'; which: number }
  | { kind: 'force' }
  | { kind: 'pass'; ms: number }
  /** What comes before is judged together. */
  | { kind: 'cut' }

const holderOf = fc.integer({ min: 0, max: 5 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('acquire' as const),
      holder: holderOf,
      mode: fc.constantFrom<LockMode>('exclusive', 'shared', 'shared'),
      priority: fc.constantFrom(0, 0, 0, 1, 9),
      waits: fc.boolean(),
      ttl: fc.constantFrom(50, 1000),
      delay: fc.constantFrom(0, 0, 30),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('release' as const), holder: holderOf }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), which: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'force' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 20, 50, 2000),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ kind: 'cut' as const }) },
)

/** The lock that is judged, batch by batch, and the model beside it, step by step. */
class Both {
  readonly model = new LockModel()
  #found: FoundLock = unheld
  #demands: Demand[] = []
  #expected: string[] = []
  #requests = 0
  #tokens = new Set<number>()

  take(step: Step): void {
    switch (step.kind) {
      case 'acquire': {
        const { holder, mode, priority, ttl, delay, waits } = step
        const asking: Asking = {
          requestId: `r${this.#requests++}`,
          holder: `h${holder}`,
          mode,
          priority,
          ttlMs: ttl,
          lockDelayMs: delay,
          metadata: null,
        }
        this.#demands.push({ kind: 'acquire', asking, waits })
        this.#expected.push(this.model.acquire(asking, waits))
        return
      }
      case 'release': {
        const holder = `h${step.holder}`
        const own = this.model.holders.find((one) => one.holder === holder)
        const token = own?.token ?? 0
        this.#demands.push({ kind: 'release', holder, token })
        this.#expected.push(this.model.release(holder, token))
        return
      }
      case 'leave': {
        const wait = this.model.waits[step.which]
        if (wait === undefined) return
        const { requestId, holder } = wait
        this.#demands.push({ kind: 'leave', requestId, holder, isUnwanted: false })
        this.model.leave(requestId)
        this.#expected.push('held')
        return
      }
      case 'force':
        this.#demands.push({ kind: 'force' })
        this.model.force()
        this.#expected.push('freed')
        return
      case 'pass':
        this.judge()
        this.model.pass(step.ms)
        this.model.settle()
        return
      case 'cut':
        this.judge()
    }
  }

  /** Throws where the judge and the model differ. */
  judge(): void {
    const { now } = this.model
    const expired = this.#found.holders.filter(({ expiresAt }) => expiresAt <= now)
    const found = {
      ...this.#found,
      expired: new Set(expired.map(({ holder }) => holder)),
      present: new Set(
        this.#demands
          .flatMap((one) => (one.kind === 'leave' ? one.requestId : []))
          .filter((id) => this.#found.line.some(({ requestId }) => requestId === id)),
      ),
    }
    const { verdicts, after, writes } = judgeLock(found, this.#demands, { ...settings, now })
    this.#check(
      verdicts.map(({ kind }) => kind),
      this.#expected,
    )
    for (const event of writes.events) {
      if (event.kind !== 'granted') continue
      const { token } = event.holder
      if (this.#tokens.has(token) || token <= Math.max(0, ...this.#tokens)) {
        throw new Error(`token ${token} does not rise`)
      }
      this.#tokens.add(token)
    }
    this.#found = after
    this.#demands = []
    this.#expected = []
    this.#compare()
  }

  #compare(): void {
    const { holders, line } = this.#found
    const seen = (one: { holder: string; token: number; expiresAt: number; mode: string }) =>
      [one.holder, one.token, one.expiresAt, one.mode].join(' ')
    this.#check(holders.map(seen).sort(), this.model.holders.map(seen).sort())
    const waits = this.model.waits.toSorted(
      (a, b) => b.priority - a.priority || a.arrived - b.arrived,
    )
    this.#check(
      line.map(({ requestId }) => requestId),
      waits.map(({ requestId }) => requestId),
    )
    if (holders.length > 1 && holders.some(({ mode }) => mode === 'exclusive')) {
      throw new Error('two have it, one of them alone')
    }
  }

  #check(actual: readonly string[], expected: readonly string[]): void {
    if (actual.join() !== expected.join()) throw new Error(`${actual} instead of ${expected}`)
  }
}

t.test('the judge does what anyone would do by hand', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), (steps) => {
      const both = new Both()
      for (const one of steps) both.take(one)
      both.judge()
    }),
    { numRuns: 1500 },
  )
  t.pass()
})

t.test('who waits gets it in the end, whoever else comes', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), (steps) => {
      const both = new Both()
      for (const one of steps) {
        // A request of a higher priority may keep others waiting for as long as more of them come.
        if (one.kind === 'acquire') both.take({ ...one, holder: one.holder + 10, priority: 0 })
        else if (one.kind !== 'leave') both.take(one)
      }
      both.judge()
      const waiting = both.model.waits.map(({ requestId }) => requestId)
      for (let round = 0; round < waiting.length + 1; round += 1) {
        const late = { kind: 'acquire', mode: 'shared', priority: 0, waits: true } as const
        both.take({ ...late, holder: 100 + round, ttl: 1000, delay: 0 })
        both.take({ kind: 'pass', ms: 2000 })
        both.judge()
      }
      const left = new Set(both.model.waits.map(({ requestId }) => requestId))
      if (waiting.some((one) => left.has(one))) throw new Error('one still waits')
    }),
    { numRuns: 300 },
  )
  t.pass()
})
