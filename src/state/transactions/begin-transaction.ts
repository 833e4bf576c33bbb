import { randomUUID } from 'node:crypto'
import { invalidRequest } from '../../http/faults.ts'
import { applyOnce } from '../../idempotency/apply-once.ts'
import type { WriteOutcome } from '../../idempotency/rules.ts'
import type { Asked } from '../../tables/create-table.ts'
import { insertStateTransaction, type StateTransactionRow } from './queries.ts'
import type { BeginStateTransaction } from './schema.ts'
import type { FindContext } from './use-transaction.ts'

/** What interactive transactions are begun with. */
export interface BeginContext extends FindContext {
  idempotencyRetentionMs: number
  /** For how long a transaction may be left alone at most, and is if it says nothing else. */
  stateTransactionIdleMsMax: number
  /** For how long one may be open. */
  stateTransactionAgeMsMax: number
}

/** Begins a transaction at this server. Nothing is read or held yet. */
export async function beginTransaction(
  context: BeginContext,
  { isolationLevel = 'RepeatableRead', label, idleTimeoutMs }: BeginStateTransaction,
  { idempotent, answer }: Asked<StateTransactionRow>,
): Promise<WriteOutcome> {
  const { db, openTransactions, stateTransactionIdleMsMax: idleMsMax } = context
  if (idleTimeoutMs !== undefined && idleTimeoutMs > idleMsMax) {
    const message = `must be at most ${idleMsMax}`
    throw invalidRequest('body', [{ pointer: '/idleTimeoutMs', message }])
  }
  let begun: StateTransactionRow | undefined
  let hasPlace = false
  try {
    const outcome = await applyOnce(db, {
      request: idempotent,
      retentionMs: context.idempotencyRetentionMs,
      answer,
      work: async (tx) => {
        openTransactions.takePlace()
        hasPlace = true
        begun = await insertStateTransaction(tx, {
          id: randomUUID(),
          isolationLevel,
          label: label ?? null,
          idleTimeoutMs: idleTimeoutMs ?? idleMsMax,
          serverId: openTransactions.serverId,
          server: context.address(),
          ageMsMax: context.stateTransactionAgeMsMax,
        })
        return begun
      },
    })
    if (begun !== undefined) openTransactions.add(begun)
    hasPlace = false
    return outcome
  } finally {
    if (hasPlace) openTransactions.leavePlace()
  }
}
