import t from 'tap'
import { KnownLocks } from '../../src/locks/known-locks.ts'
import { asking, holder, settings, unheld } from './found-lock.ts'

const { now } = settings
const waiting = (name: string) => ({ ...asking(name), begunAt: now })
const clock = { now, timeline: 1 }

function knowing(lock: object, isHere = (_: string) => true): KnownLocks {
  const known = new KnownLocks(isHere)
  known.keep('lock/a', { lock: { ...unheld, ...lock }, timeline: 1 })
  return known
}

t.test('a lock is known as it was left', async (t) => {
  const lock = { ...unheld, holders: [holder('a')], line: [waiting('b')] }
  const known = knowing(lock)
  t.strictSame(known.find('lock/a', clock), lock)
  t.equal(known.find('election/a', clock), undefined)
  known.forgetState('lock/a')
  t.equal(known.find('lock/a', clock), undefined)
})

t.test('what may have changed by itself is not built upon', async (t) => {
  const cases: Record<string, KnownLocks> = {
    'a lease has run out': knowing({ holders: [holder('a', { expiresAt: now })] }),
    'one waits at another server': knowing({ line: [waiting('b')] }, () => false),
    'more wait than were read': knowing({ line: [waiting('b')], hasMore: true }),
  }
  for (const [name, known] of Object.entries(cases)) {
    t.equal(known.find('lock/a', clock), undefined, name)
  }
  t.equal(knowing({}).find('lock/a', { now, timeline: 2 }), undefined, 'of another timeline')
})

t.test('a lock is left to others where a request cannot have it beside them', async (t) => {
  const shared = { mode: 'shared' } as const
  const isLeft = (lock: object, request = asking('b')) =>
    knowing(lock).isHeldBeside('lock/a', request)
  t.equal(isLeft({}), false)
  t.equal(isLeft({ holders: [holder('a')] }), true)
  t.equal(isLeft({ holders: [holder('b')] }), false)
  t.equal(isLeft({ holders: [holder('a', shared)] }), true)
  t.equal(isLeft({ holders: [holder('a', shared)] }, asking('b', shared)), false)
})

t.test('the clock goes on from what the database has said', async (t) => {
  const known = knowing({})
  t.equal(known.clock(), undefined)
  known.keepClock(clock)
  const read = known.clock()
  t.ok(read !== undefined && read.now >= now)
  known.clear()
  t.equal(known.clock(), undefined)
})
