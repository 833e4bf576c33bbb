import { appKey, type Ledger, type TableLedger } from './ledger.ts'
import type { CommitRow } from './rows.ts'
import type { Proposal, Unit } from './unit.ts'

/** Whether all that a unit proposes was committed before, so that it writes nothing and is told what was. */
export function isDuplicate(
  { parts, changes = [], state = [] }: Unit,
  { tables }: Ledger,
): boolean {
  if (parts.length === 0 || changes.length + state.length > 0) return false
  return parts.every(({ table: name, proposal, onlyReads }) => {
    const table = tables.get(name)
    if (table === undefined || table.head.droppedAt !== null || onlyReads) return false
    return findDuplicate(proposal, table) !== undefined
  })
}

/** The commit that carried the proposal's app transaction, when the application has come as far or further. */
export function findDuplicate(
  { appTransaction }: Proposal,
  table: TableLedger,
): CommitRow | undefined {
  if (appTransaction === undefined) return undefined
  const { appId, version } = appTransaction
  const newest = table.appTransactions.get(appId)
  if (newest === undefined || newest.appVersion < version) return undefined
  const carrier = table.carriers.get(appKey(appId, version)) ?? newest.committedIn
  return table.commits.get(carrier)
}

/** The proposal with the txn action that makes its repetition a duplicate, unless the writer gave it. */
export function withAppTransaction(proposal: Proposal, lastUpdated: number): Proposal {
  const { appTransaction, actions } = proposal
  if (appTransaction === undefined) return proposal
  const { appId, version } = appTransaction
  if (actions.some(({ kind, body }) => kind === 'txn' && body.appId === appId)) return proposal
  const json = `{"txn":{"appId":${JSON.stringify(appId)},"version":${version},"lastUpdated":${lastUpdated}}}`
  return { ...proposal, actions: [...actions, { kind: 'txn', body: JSON.parse(json).txn, json }] }
}
