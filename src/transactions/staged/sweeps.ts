import type { Db, Tx } from '../../database/connect.ts'
import { inTransaction } from '../../database/transaction.ts'
import type { Sweep } from '../../maintenance/sweeper.ts'
import { deleteStagedState } from './state-queries.ts'
import {
  deleteStagedLines,
  deleteUnfinished,
  lockLeftovers,
  updateExpired,
  updateGivenUp,
  updateSwept,
} from './sweep-queries.ts'

const pauseMs = 1000

/** Transactions whose time is over, and those whose commit was given up. */
export function overdueTransactions(db: Db, onExpired: (count: number) => void): Sweep {
  return {
    what: 'overdue transactions',
    sweep: async () => {
      const expired = await inTransaction(db, updateExpired)
      onExpired(expired)
      return expired + (await inTransaction(db, updateGivenUp))
    },
    pauseMs,
  }
}

/** What was staged for transactions that are over. Those that were rolling back are then rolled back. */
export function stagedLeftovers(
  db: Db,
  limits: { requestMsMax: number; databaseCopyMsMax: number },
): Sweep {
  const ageMs = limits.requestMsMax + limits.databaseCopyMsMax
  return {
    what: 'what was staged for transactions',
    sweep: async () => {
      const removed = await inTransaction(db, sweepLeftovers)
      return removed + (await inTransaction(db, (tx) => deleteUnfinished(tx, ageMs)))
    },
    pauseMs,
  }
}

async function sweepLeftovers(tx: Tx): Promise<number> {
  const ids = await lockLeftovers(tx)
  if (ids.length === 0) return 0
  const removed = (await deleteStagedLines(tx, ids)) + (await deleteStagedState(tx, ids))
  if (removed === 0) await updateSwept(tx, ids)
  return Math.max(removed, 1)
}
