import { getCommit, type StoredCommit } from '../../commits/history.ts'
import type { DeclaredReads } from '../../commits/reads.ts'
import type { Db, Tx } from '../../database/connect.ts'
import { inTransaction } from '../../database/transaction.ts'
import { Problem } from '../../problems.ts'
import { getTable } from '../../tables/get-table.ts'
import type { TableRow } from '../../tables/queries.ts'
import { tableKey } from '../../tables/rules.ts'
import { findVersionIn, fixView, type LockedTransaction } from './queries.ts'
import { mergeReads } from './reads.ts'
import type { TableAsked } from './stage-table.ts'
import { findStagedTable, updateReads } from './table-queries.ts'
import { lockActive } from './use-transaction.ts'

/** A table as a transaction sees it. */
export interface ReadTable {
  tableId: string
  commit: StoredCommit
}

/** Reads a table, and tells what counts as read. A `Problem` that it throws leaves nothing noted. */
export type Reading<Result> = (
  tx: Tx,
  seen: ReadTable,
) => Promise<{ reads: DeclaredReads; result: Result }>

/**
 * Reads a table at the version that a transaction sees: at ReadCommitted the newest, else that of the view which its
 * first read has fixed for all tables. At Serializable what was read is noted, for the commit to be judged by.
 */
export function readTable<Result>(
  db: Db,
  { id, table: name }: TableAsked,
  read: Reading<Result>,
): Promise<ReadTable & { result: Result }> {
  return inTransaction(db, async (tx) => {
    const transaction = await lockActive(tx, id)
    // The view is fixed before the table is looked for, so that what it sees is there.
    const view = await viewOf(tx, transaction)
    const table = await getTable(tx, tableKey(name))
    const version = view === undefined ? table.version : await versionIn(tx, table, view)
    const seen = { tableId: table.id, commit: await getCommit(tx, table, { version }) }
    const { reads, result } = await read(tx, seen)
    await noteReads(tx, transaction, { seen, reads })
    return { ...seen, result }
  })
}

async function viewOf(
  tx: Tx,
  { id, isolationLevel, view }: LockedTransaction,
): Promise<string | undefined> {
  return isolationLevel === 'ReadCommitted' ? undefined : (view ?? (await fixView(tx, id)))
}

async function versionIn(tx: Tx, table: TableRow, view: string): Promise<number> {
  const version = await findVersionIn(tx, { tableId: table.id, view })
  if (version !== undefined) return version
  const { name, version: currentVersion } = table
  throw new Problem(
    'version-not-found',
    `The table ${name} was made after the transaction had read for the first time.`,
    { facts: { currentVersion } },
  )
}

async function noteReads(
  tx: Tx,
  { id: transactionId, isolationLevel }: LockedTransaction,
  { seen: { tableId, commit }, reads }: { seen: ReadTable; reads: DeclaredReads },
): Promise<void> {
  if (isolationLevel !== 'Serializable') return
  const of = { transactionId, tableId }
  const before = JSON.parse((await findStagedTable(tx, of))?.reads ?? '{}')
  await updateReads(tx, of, { readVersion: commit.version, reads: mergeReads(before, reads) })
}
