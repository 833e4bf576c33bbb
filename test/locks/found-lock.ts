import type { FoundLock, JudgeSettings } from '../../src/locks/judge.ts'
import type { Asking, Holder } from '../../src/locks/rows.ts'

/** A lock that nobody has ever had. */
export const unheld: FoundLock = {
  id: 1,
  token: 0,
  delayedUntil: null,
  lastEvent: 0,
  revision: 0,
  holders: [],
  expired: new Set(),
  line: [],
  hasMore: false,
  broken: new Map(),
  present: new Set(),
}

export const settings: JudgeSettings = { now: 1_000_000, timeline: 1, holdersMax: 3 }

/** A request; its id tells the holder. */
export function asking(holder: string, more: Partial<Asking> = {}): Asking {
  return {
    requestId: `r-${holder}`,
    holder,
    mode: 'exclusive',
    priority: 0,
    ttlMs: 1000,
    lockDelayMs: 0,
    metadata: null,
    ...more,
  }
}

/** One who has a lock. */
export function holder(name: string, more: Partial<Holder> = {}): Holder {
  return {
    holder: name,
    mode: 'exclusive',
    token: 1,
    ttlMs: 1000,
    lockDelayMs: 0,
    metadata: null,
    requestId: null,
    grantedAt: settings.now - 500,
    expiresAt: settings.now + 500,
    ...more,
  }
}
