import type { Db, Tx } from '../../database/connect.ts'
import { findTransaction, type TransactionRow, transactionNotFound } from '../queries.ts'
import { type LockedTransaction, lockTransaction, updateGivenUp } from './queries.ts'
import { notActive } from './rules.ts'

/** Locks a transaction. Throws a `Problem` when there is none, or when it is not active. */
export async function lockActive(tx: Tx, id: string): Promise<LockedTransaction> {
  const found = await lockAny(tx, id)
  if (found.state !== 'active') throw notActive(found)
  // Who was given up must not commit what is changed from here on.
  if (found.wasCommitting) await updateGivenUp(tx, id)
  return found
}

/** Locks a transaction. Throws a `Problem` when there is none. */
export async function lockAny(tx: Tx, id: string): Promise<LockedTransaction> {
  const found = await lockTransaction(tx, id)
  if (found === undefined) throw transactionNotFound(id)
  return found
}

/** The transaction of this id. Throws a `Problem` when there is none. */
export async function getTransaction(db: Db, id: string): Promise<TransactionRow> {
  const found = await findTransaction(db, id)
  if (found === undefined) throw transactionNotFound(id)
  return found
}
