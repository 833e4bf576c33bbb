import { memberTexts, objectText } from '../http/json-text.ts'
import type { LockState } from '../locks/read-queries.ts'
import type { Holder, LockEvent, Waiting } from '../locks/rows.ts'

/** A leader, as who campaigned or renewed is answered. */
export function leadershipText(name: string, leader: Holder): string {
  return objectText({ ...memberTexts({ name }), ...leaderMembers(leader) })
}

/** A leader: the holder of the lock that an election is. */
export function leaderText(leader: Holder): string {
  return objectText(leaderMembers(leader))
}

/** An election with its leader and those who wait to be the next. */
export function electionText({ name, token, ...state }: LockState): string {
  const { holders, waiters, numWaiters } = state
  const [leader] = holders
  return objectText({
    ...memberTexts({ name, token }),
    leader: leader && leaderText(leader),
    ...memberTexts({ numCandidates: numWaiters }),
    candidates: `[${waiters.map(candidateText).join(',')}]`,
  })
}

/** What happened, as those who watch elections are told of it. */
export function tellElection(event: LockEvent): { kind: string; payload: string } {
  if (event.kind === 'waiting') return { kind: 'waiting', payload: candidateText(event.waiting) }
  return { kind: kinds[event.kind], payload: leaderText(event.holder) }
}

const kinds = {
  granted: 'elected',
  changed: 'changed',
  released: 'resigned',
  expired: 'expired',
  forced: 'deposed',
} as const

function leaderMembers({ holder, token, grantedAt, expiresAt, metadata }: Holder) {
  const times = { electedAt: instant(grantedAt), expiresAt: instant(expiresAt) }
  return { ...memberTexts({ candidate: holder, token, ...times }), value: metadata ?? undefined }
}

function candidateText({ holder, begunAt, metadata }: Waiting): string {
  return objectText({
    ...memberTexts({ candidate: holder, waitingSince: instant(begunAt) }),
    value: metadata ?? undefined,
  })
}

function instant(ms: number): string {
  return new Date(ms).toISOString()
}
