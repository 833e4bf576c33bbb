import { memberTexts, objectText } from '../http/json-text.ts'
import type { LockState } from './read-queries.ts'
import type { Holder, LockEvent, Waiting } from './rows.ts'

/** What was granted, as it is answered. */
export function grantText(name: string, { holder, mode, token, expiresAt }: Holder): string {
  return JSON.stringify({ name, holder, mode, token, expiresAt: instant(expiresAt) })
}

/** Who has a lock, and since when. */
export function holderText({ holder, mode, token, grantedAt, expiresAt, metadata }: Holder) {
  const times = { grantedAt: instant(grantedAt), expiresAt: instant(expiresAt) }
  return withMetadata({ holder, mode, token, ...times }, metadata)
}

/** Who waits for a lock, and since when. */
export function waitingText({ holder, mode, priority, begunAt, metadata }: Waiting) {
  return withMetadata({ holder, mode, priority, waitingSince: instant(begunAt) }, metadata)
}

/** A lock with those who have it and those who wait for it. */
export function lockText({ holders, waiters, ...lock }: LockState): string {
  const { name, token, numHolders, numWaiters, delayedUntil } = lock
  const isDelayed = delayedUntil !== null && delayedUntil > lock.now
  return objectText({
    ...memberTexts({ name, token, numHolders, numWaiters }),
    delayedUntil: isDelayed ? JSON.stringify(instant(delayedUntil)) : undefined,
    holders: listText(holders.map(holderText)),
    waiters: listText(waiters.map(waitingText)),
  })
}

/** What an event says, as it is kept. */
export function eventText(event: LockEvent): string {
  if (event.kind !== 'waiting') return holderText(event.holder)
  return waitingText(event.waiting)
}

function withMetadata(members: Record<string, unknown>, metadata: string | null): string {
  if (metadata === null) return JSON.stringify(members)
  return objectText({ ...memberTexts(members), metadata })
}

function listText(items: readonly string[]): string {
  return `[${items.join(',')}]`
}

function instant(ms: number): string {
  return new Date(ms).toISOString()
}
