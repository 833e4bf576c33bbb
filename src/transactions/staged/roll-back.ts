import type { Db } from '../../database/connect.ts'
import { findConsistencyToken } from '../../database/consistency-token.ts'
import { inTransaction } from '../../database/transaction.ts'
import { applyOnce, claimOnce } from '../../idempotency/apply-once.ts'
import type { WriteOutcome } from '../../idempotency/rules.ts'
import type { Asked } from '../../tables/create-table.ts'
import { type TransactionRow, transactionNotFound } from '../queries.ts'
import { updateRolledBack, updateRollingBack } from './queries.ts'
import { deleteStagedLines } from './sweep-queries.ts'
import { lockActive } from './use-transaction.ts'

/** Forgets all that is staged and ends the transaction. If the server dies meanwhile, the sweeper goes on with it. */
export async function rollBack(
  { db, idempotencyRetentionMs }: { db: Db; idempotencyRetentionMs: number },
  id: string,
  { idempotent, answer }: Asked<TransactionRow>,
): Promise<WriteOutcome> {
  const kept = await inTransaction(db, async (tx) => {
    const before = idempotent && (await claimOnce(tx, idempotent, idempotencyRetentionMs))
    if (before !== undefined) return before
    await lockActive(tx, id)
    await updateRollingBack(tx, id)
    return undefined
  })
  if (kept !== undefined) return { ...kept, consistencyToken: await findConsistencyToken(db) }
  while ((await inTransaction(db, (tx) => deleteStagedLines(tx, [id]))) > 0);
  return applyOnce(db, {
    request: idempotent,
    retentionMs: idempotencyRetentionMs,
    answer,
    work: async (tx) => {
      const row = await updateRolledBack(tx, id)
      if (row === undefined) throw transactionNotFound(id)
      return row
    },
  })
}
