import { Problem } from '../problems.ts'
import type { FenceBody } from './fence-schema.ts'
import { keyOf, type LockMode, type LockName } from './rows.ts'

/** What must be true of a lock or an election for a write to take effect: that its token is in force. */
export interface Fence extends LockName {
  token: number
}

/** A lock as it was found under its row lock. */
export interface FencedLock extends LockName {
  /** Token of its last grant. */
  lastToken: number
  /** Who holds it by the clock of the database. */
  holders: readonly { token: number; mode: LockMode }[]
}

/** The locks of a batch by `keyOf`. */
export type FencedLocks = ReadonlyMap<string, FencedLock>

/** The fences of a request. */
export function toFences(bodies: readonly FenceBody[] = []): Fence[] {
  return bodies.map(({ lock, election, token }) =>
    lock === undefined
      ? { kind: 'election', name: election ?? '', token }
      : { kind: 'lock', name: lock, token },
  )
}

/** The refusal of a write for the first of its fences that does not hold; undefined where all do. Pure. */
export function judgeFences(fences: readonly Fence[], locks: FencedLocks): Problem | undefined {
  const stale = fences.find((fence) => !isInForce(fence, locks.get(keyOf(fence))))
  return stale && staleFence(stale, locks.get(keyOf(stale)))
}

/**
 * Whether the token is that of a holder. Should the clock of the database have gone back, an earlier holder may seem to
 * hold the lock beside a later one, so of tokens that exclude each other the later alone is in force.
 */
function isInForce({ token }: Fence, lock: FencedLock | undefined): boolean {
  const holder = lock?.holders.find((one) => one.token === token)
  if (lock === undefined || holder === undefined) return false
  if (holder.mode === 'exclusive') return token === lock.lastToken
  return lock.holders.every((other) => other.mode === 'shared' || other.token < token)
}

function staleFence({ kind, name, token }: Fence, lock: FencedLock | undefined): Problem {
  const tokens = lock?.holders.map((holder) => holder.token) ?? []
  const currentToken = tokens.length === 0 ? null : Math.max(...tokens)
  const found = currentToken === null ? 'nobody holds it' : `the token in force is ${currentToken}`
  return new Problem(
    'stale-fence',
    `The token ${token} of the ${kind} "${name}" is not in force: ${found}. Nothing was written.`,
    { facts: { [kind]: name, token, currentToken } },
  )
}
