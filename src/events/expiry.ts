import type { Db } from '../database/connect.ts'
import { inTransaction } from '../database/transaction.ts'
import type { Sweep } from '../maintenance/sweeper.ts'
import { deleteExpiredEvents } from './queries.ts'

/** Events of channels, locks and elections that have outlived their time. */
export function expiredEvents(db: Db, retentionMs: number): Sweep {
  return {
    what: 'expired events',
    sweep: () => inTransaction(db, (tx) => deleteExpiredEvents(tx, retentionMs)),
    pauseMs: Math.min(retentionMs, pauseMsMax),
  }
}

const pauseMsMax = 10_000
