import type { Metrics } from '../http/metrics.ts'
import type { KeptBatch, Placed } from './keep-batch.ts'

/** Counts what happened to locks in a batch, and measures for how long they were held. */
export function observeLocks(metrics: Metrics, { events, now }: KeptBatch<Placed>): void {
  for (const { kind, event } of events) {
    switch (event.kind) {
      case 'granted':
        metrics.lockGrants.inc({ kind, mode: event.holder.mode })
        break
      case 'released':
      case 'expired':
      case 'forced': {
        const until = event.kind === 'expired' ? event.holder.expiresAt : now
        const seconds = (until - event.holder.grantedAt) / 1000
        metrics.lockHoldSeconds.observe({ kind, end: event.kind }, Math.max(0, seconds))
      }
    }
  }
}
