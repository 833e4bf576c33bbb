import type { Db } from '../database/connect.ts'
import { inTransaction } from '../database/transaction.ts'
import { deleteExpiredAnswers } from './queries.ts'

/** Removes answers that have outlived their time, now and then, a bounded number at once. */
export function startSweeper(options: {
  db: Db
  retentionMs: number
  log: { warn: (facts: object, message: string) => void }
}): { stop: () => void } {
  const { db, retentionMs, log } = options
  const sweep = async () => {
    try {
      await inTransaction(db, (tx) => deleteExpiredAnswers(tx, retentionMs))
    } catch (err) {
      log.warn({ err }, 'expired idempotency keys could not be removed')
    }
  }
  const timer = setInterval(() => void sweep(), sweepMs)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}

const sweepMs = 10_000
