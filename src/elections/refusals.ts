import { parseExact } from '../delta/json.ts'
import type { Acquired } from '../locks/keeper.ts'
import type { Holder } from '../locks/rows.ts'
import { Problem } from '../problems.ts'
import { leaderText } from './election-json.ts'

/** The refusal of a campaign. */
export function notElected(name: string, refused: Exclude<Acquired, { kind: 'granted' }>): Problem {
  switch (refused.kind) {
    case 'held':
      return notLeader(name, refused.holders[0])
    case 'other-mode':
      return notLeader(name, refused.held)
    case 'deadlock':
      return new Problem(
        'deadlock',
        `Requests waited for each other in a circle, that for the election ${name} among them. This one gave way.`,
        { facts: { cycle: JSON.parse(refused.cycle) } },
      )
  }
}

/** The refusal of who does not lead. */
export function notLeader(name: string, leader: Holder | undefined): Problem {
  const detail =
    leader === undefined
      ? `Nobody leads ${name} now.`
      : `${leader.holder} leads ${name}, until ${new Date(leader.expiresAt).toISOString()} unless it renews.`
  const facts = leader === undefined ? {} : { leader: parseExact(leaderText(leader)) }
  return new Problem('not-leader', detail, { facts })
}

export function electionNotFound(name: string): Problem {
  return new Problem('election-not-found', `Nobody has ever led ${name}.`)
}
