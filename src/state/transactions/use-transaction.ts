import type { Db } from '../../database/connect.ts'
import { transactionNotFound } from '../../transactions/queries.ts'
import type { OpenTransaction } from './open-transaction.ts'
import type { OpenTransactions } from './open-transactions.ts'
import { findStateTransaction, type StateTransactionRow } from './queries.ts'
import { isElsewhere, isOver } from './rules.ts'

/** What interactive transactions are found with. */
export interface FindContext {
  db: Db
  openTransactions: OpenTransactions
  /** Where clients reach this server. */
  address: () => string
}

/** The transaction of this id, which this server has. Throws a `Problem` where it does not, or no longer. */
export async function getOpen(context: FindContext, id: string): Promise<OpenTransaction> {
  const open = context.openTransactions.find(id)
  if (open !== undefined) return open
  throw isOver(await getEnded(context, id))
}

/** What is known of a transaction that is not open here. Throws a `Problem` where another server has it, or none ever had. */
export async function getEnded(
  { db, openTransactions, address }: FindContext,
  id: string,
): Promise<StateTransactionRow> {
  const row = await findStateTransaction(db, id)
  if (row === undefined) throw transactionNotFound(id)
  if (row.state !== 'active') return row
  // One of another process at our address was forgotten when that ended.
  const isOurs = row.serverId === openTransactions.serverId || row.server === address()
  if (!isOurs) throw isElsewhere(row)
  return { ...row, state: openTransactions.outcomeOf(id) ?? 'rolled-back' }
}
