import type { Db } from '../database/connect.ts'
import { inTransaction } from '../database/transaction.ts'
import { deleteExpiredAnswers } from './queries.ts'

/** Removes answers that have outlived their time, now and then, a bounded number in one transaction. */
export function startSweeper(options: {
  db: Db
  retentionMs: number
  log: { warn: (facts: object, message: string) => void }
}): { stop: () => Promise<void> } {
  const { db, retentionMs, log } = options
  const pauseMs = Math.min(retentionMs, pauseMsMax)
  let stopped = false

  async function sweep(): Promise<void> {
    try {
      const sweepSome = () => inTransaction(db, (tx) => deleteExpiredAnswers(tx, retentionMs))
      while (!stopped && (await sweepSome()) > 0);
    } catch (err) {
      log.warn({ err }, 'expired idempotency keys could not be removed')
    }
    if (!stopped) timer = setTimeout(start, pauseMs)
  }

  const start = () => {
    sweeping = sweep()
  }
  let sweeping: Promise<void> | undefined
  let timer = setTimeout(start, 0)
  return {
    async stop() {
      stopped = true
      clearTimeout(timer)
      await sweeping
    },
  }
}

const pauseMsMax = 10_000
