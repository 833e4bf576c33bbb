/** A row of `mirrors`, with the commit that waits longest. */
export interface MirrorRow {
  publishedVersion: number
  state: string
  lastError: string | null
  nextRetryAt: string | null
  /** Milliseconds since the oldest commit that is not yet published; null when all are. */
  lagMs: number | null
}

/** What a caller is told of a mirror. */
export interface MirrorState {
  state: 'current' | 'behind' | 'retrying' | 'forked'
  publishedVersion: number
  pending: number
  lastError?: string
  nextRetryAt?: string
  lagMs: number
}

/** The state of a table's mirror, from how far it is and how far the table is. */
export function mirrorState(mirror: MirrorRow & { version: number }): MirrorState {
  const pending = mirror.version - mirror.publishedVersion
  return {
    state: stateOf(mirror.state, pending),
    publishedVersion: mirror.publishedVersion,
    pending,
    ...(mirror.lastError !== null && { lastError: mirror.lastError }),
    ...(mirror.nextRetryAt !== null && { nextRetryAt: mirror.nextRetryAt }),
    lagMs: pending > 0 ? Math.max(0, Math.round(mirror.lagMs ?? 0)) : 0,
  }
}

function stateOf(state: string, pending: number): MirrorState['state'] {
  if (state === 'forked') return 'forked'
  if (pending === 0) return 'current'
  return state === 'retrying' ? 'retrying' : 'behind'
}

const retryMsMin = 100
const retryMsMax = 60_000

/** Wait before the next attempt after this many have failed: doubling, bounded. */
export function retryDelayMs(attempts: number): number {
  return Math.min(retryMsMax, retryMsMin * 2 ** Math.min(attempts - 1, 20))
}
