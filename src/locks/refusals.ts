import { parseExact } from '../delta/json.ts'
import { Problem } from '../problems.ts'
import type { HeldOutside } from './advisory/keeper.ts'
import type { Acquired, Lease } from './keeper.ts'
import { holderText, waitingText } from './lock-json.ts'
import type { Holder, LockName } from './rows.ts'

/** The refusal of a request for a lock. */
export function notAcquired(
  name: string,
  refused: Exclude<Acquired, { kind: 'granted' }> | HeldOutside,
): Problem {
  switch (refused.kind) {
    case 'held':
      return lockHeld(name, refused)
    case 'outside':
      return heldOutside(name, refused)
    case 'other-mode':
      return otherMode(name, refused.held)
    case 'deadlock': {
      const cycle = JSON.parse(refused.cycle)
      return new Problem(
        'deadlock',
        `Requests waited for each other in a circle, that for the lock ${name} among them. This one gave way.`,
        { facts: { cycle } },
      )
    }
  }
}

function lockHeld(name: string, { holders, line }: Extract<Acquired, { kind: 'held' }>): Problem {
  const [first] = holders
  const detail =
    first === undefined
      ? `Nobody gets the lock ${name} for now, because a holder has let it expire, or others go first.`
      : `The lock ${name} is held by ${first.holder}${holders.length > 1 ? ` and ${holders.length - 1} more` : ''}, until ${new Date(first.expiresAt).toISOString()} unless renewed.`
  return new Problem('lock-held', detail, {
    facts: {
      holders: holders.map((one) => parseExact(holderText(one))),
      waiters: line.map((one) => parseExact(waitingText(one))),
    },
  })
}

function heldOutside(name: string, { key }: HeldOutside): Problem {
  return new Problem(
    'lock-held',
    `The advisory lock ${key} of the lock ${name} is held by another client of the database, or for another lock.`,
    { facts: { holders: [], waiters: [], advisoryKey: parseExact(String(key)) } },
  )
}

function otherMode(name: string, held: Holder): Problem {
  return new Problem(
    'lock-held',
    `${held.holder} has the lock ${name} already, as ${held.mode}. Release it before it is asked for in another mode.`,
    { facts: { holders: [parseExact(holderText(held))], waiters: [] } },
  )
}

/** The refusal of who does not have a lock, or has it no more. */
export function lockLost({ name, holder, token }: Omit<Lease, 'kind'>): Problem {
  return new Problem('lock-lost', `${holder} does not have the lock ${name} with token ${token}.`, {
    facts: { name, holder, token },
  })
}

export function lockNotFound({ name }: Pick<LockName, 'name'>): Problem {
  return new Problem('lock-not-found', `Nobody has ever had a lock ${name}.`)
}
