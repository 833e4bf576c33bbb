import type { Db } from '../../database/connect.ts'
import type { Sweep } from '../../maintenance/sweeper.ts'
import { deleteStateTransactions } from './queries.ts'

const pauseMs = 60_000

/** What is known of interactive transactions that were over long ago; it is kept for as long as answers are. */
export function endedTransactions(
  db: Db,
  { idempotencyRetentionMs }: { idempotencyRetentionMs: number },
): Sweep {
  return {
    what: 'interactive transactions that are over',
    sweep: () => deleteStateTransactions(db, idempotencyRetentionMs),
    pauseMs,
  }
}
