import type { Db } from '../database/connect.ts'
import { inTransaction } from '../database/transaction.ts'
import type { Sweep } from '../maintenance/sweeper.ts'
import { deleteExpiredAnswers } from './queries.ts'

/** Answers that have outlived their time. */
export function expiredAnswers(db: Db, retentionMs: number): Sweep {
  return {
    what: 'expired idempotency keys',
    sweep: () => inTransaction(db, (tx) => deleteExpiredAnswers(tx, retentionMs)),
    pauseMs: Math.min(retentionMs, pauseMsMax),
  }
}

const pauseMsMax = 10_000
