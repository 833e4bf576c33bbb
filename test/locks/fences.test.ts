import t from 'tap'
import { judgeBatch } from '../../src/commits/judge.ts'
import type { BatchState } from '../../src/commits/ledger.ts'
import type { Proposal, Unit } from '../../src/commits/unit.ts'
import { type FencedLock, judgeFences, toFences } from '../../src/locks/fences.ts'
import { keyOf } from '../../src/locks/rows.ts'
import { Problem } from '../../src/problems.ts'
import { toAction } from '../commits/histories.ts'
import { newHead } from '../commits/memory-database.ts'

const one = (token: number) => ({ token, mode: 'exclusive' as const })
const many = (...tokens: number[]) => tokens.map((token) => ({ token, mode: 'shared' as const }))

t.test('a fence holds where its token is that of a holder', async (t) => {
  const cases: [string, Partial<FencedLock> | undefined, number, number | null | 'holds'][] = [
    ['the holder', { lastToken: 7, holders: [one(7)] }, 7, 'holds'],
    ['the holder before', { lastToken: 7, holders: [one(7)] }, 6, 7],
    ['a token that was never given out', { lastToken: 7, holders: [one(7)] }, 8, 7],
    ['nobody holds it any more', { lastToken: 7, holders: [] }, 7, null],
    ['no such lock', undefined, 7, null],
    ['each of those who share it', { lastToken: 9, holders: many(7, 9) }, 7, 'holds'],
    ['the last of those who share it', { lastToken: 9, holders: many(7, 9) }, 9, 'holds'],
    ['one who shared it and left', { lastToken: 9, holders: many(7, 9) }, 8, 9],
    [
      'who shares what was last granted to another, who left',
      { lastToken: 9, holders: many(7) },
      7,
      'holds',
    ],
    ['one who comes back to life with the clock', { lastToken: 8, holders: [one(7)] }, 7, 7],
    ['the same beside the one after', { lastToken: 8, holders: [one(7), one(8)] }, 7, 8],
    [
      'who shared before it was given to one alone',
      { lastToken: 8, holders: [...many(7), one(8)] },
      7,
      8,
    ],
    ['who has it alone after that', { lastToken: 8, holders: [...many(7), one(8)] }, 8, 'holds'],
  ]
  for (const [name, lock, token, expected] of cases) {
    const known = lock && ({ kind: 'lock', name: 'l', lastToken: 0, holders: [], ...lock } as const)
    const locks = new Map(known && [[keyOf(known), known]])
    const refusal = judgeFences([{ kind: 'lock', name: 'l', token }], locks)
    if (expected === 'holds') t.equal(refusal, undefined, name)
    else {
      const facts = { lock: 'l', token, currentToken: expected }
      t.match(refusal, { code: 'stale-fence', status: 409, facts }, name)
    }
  }
})

t.test('all fences must hold, and elections are no locks', async (t) => {
  const lock: FencedLock = { kind: 'lock', name: 'n', lastToken: 1, holders: [one(1)] }
  const election: FencedLock = { kind: 'election', name: 'n', lastToken: 5, holders: [one(5)] }
  const locks = new Map([lock, election].map((known) => [keyOf(known), known]))
  t.equal(judgeFences([], locks), undefined)
  t.equal(
    judgeFences(
      toFences([
        { lock: 'n', token: 1 },
        { election: 'n', token: 5 },
      ]),
      locks,
    ),
    undefined,
  )
  const refusal = judgeFences(
    toFences([
      { lock: 'n', token: 1 },
      { election: 'n', token: 1 },
    ]),
    locks,
  )
  t.match(refusal, { facts: { election: 'n', token: 1, currentToken: 5 } })
  t.match(refusal?.message, /The token 1 of the election "n" .* in force is 5\./)
})

const held: FencedLock = { kind: 'lock', name: 'l', lastToken: 2, holders: [one(2)] }
const state: BatchState = {
  now: 2000,
  heads: [newHead('a')],
  liveFiles: [],
  takers: [],
  winners: [],
  readStates: [],
  appTransactions: [
    { tableId: 'a', appId: 'app', asked: 1, appVersion: 1, committedIn: 1, carriedIn: 1 } as never,
  ],
  filesWithoutRowIds: [],
  fencedLocks: [held],
}

function unit(token: number, proposal: Partial<Proposal> = {}, more: Partial<Unit> = {}): Unit {
  const whole: Proposal = {
    operation: 'WRITE',
    info: new Map(),
    actions: [toAction('{"txn":{"appId":"x","version":1}}')],
    fences: [{ kind: 'lock', name: 'l', token }],
    ...proposal,
  }
  return {
    parts: [{ table: 'a', proposal: whole }],
    answer: (verdict) => {
      const told = verdict.kind === 'refused' ? verdict.problem.code : verdict.commits[0]?.status
      return { status: verdict.kind === 'refused' ? 409 : 201, headers: {}, body: String(told) }
    },
    ...more,
  }
}

function judge(units: readonly Unit[], kept = new Map()): string[] {
  const carrier = { tableId: 'a', version: 1 } as never
  const found = { ...state, takers: [carrier] }
  const { outcomes } = judgeBatch(units, found, { kept, busy: new Set() })
  return outcomes.map((outcome) =>
    outcome instanceof Problem ? outcome.code : outcome.answer.body,
  )
}

t.test('a refusal is of its unit alone', async (t) => {
  t.strictSame(judge([unit(2), unit(1), unit(2)]), ['committed', 'stale-fence', 'committed'])
  const ofUnit = { fences: [{ kind: 'lock', name: 'l', token: 1 }] } as const
  t.strictSame(judge([unit(2, {}, ofUnit)]), ['stale-fence'])
})

t.test('a stale fence goes before what else is wrong', async (t) => {
  t.strictSame(judge([unit(1, { expectedVersion: 9 })]), ['stale-fence'])
  t.strictSame(judge([unit(2, { expectedVersion: 9 })]), ['version-conflict'])
  const nowhere = { parts: [{ table: 'none', proposal: unit(1).parts[0]?.proposal as Proposal }] }
  t.strictSame(judge([unit(1, {}, nowhere)]), ['stale-fence'])
})

t.test('what was done before is told whatever the fence says now', async (t) => {
  const appTransaction = { appId: 'app', version: 1 }
  t.strictSame(judge([unit(1, { appTransaction })]), ['duplicate'])
  const beside = unit(1, { appTransaction })
  const mixed = {
    ...beside,
    state: [{ namespaceId: 1, namespace: 'n', operations: [], isAtomic: true }],
  }
  t.strictSame(judge([mixed]), ['stale-fence'], 'unless something else is to be written')
  const idempotent = { key: 'k', requestHash: Buffer.from('r') }
  const kept = new Map([['k', { ...idempotent, status: 201, headers: {}, body: 'kept' }]])
  t.strictSame(judge([unit(1, {}, { idempotent })], kept), ['kept'])
  t.strictSame(judge([unit(1, {}, { idempotent })]), ['stale-fence'])
})
