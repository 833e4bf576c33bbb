import { receiptText } from '../commits/commit-json.ts'
import type { ChangedTable, Commit, CommittedTransaction } from '../commits/unit.ts'
import { memberTexts, objectText } from '../http/json-text.ts'
import type { TransactionRow, TransactionSummary } from './queries.ts'

/** What is kept of a transaction that was committed in one request. */
export function transactionRow({
  committedAt,
  tables,
  ...terms
}: CommittedTransaction): TransactionRow {
  const at = new Date(committedAt).toISOString()
  const texts = tables.map(tableReceiptText)
  return {
    ...terms,
    state: 'committed',
    createdAt: at,
    endedAt: at,
    tables: `[${texts.join(',')}]`,
  }
}

function tableReceiptText(table: Commit | ChangedTable): string {
  return 'row' in table ? receiptText(table) : objectText(memberTexts({ ...table }))
}

/** The answer to who commits a transaction or looks it up. */
export function transactionText(row: TransactionRow): string {
  return objectText({ ...termMembers(row), tables: row.tables ?? undefined })
}

/** A transaction in a list. */
export function transactionSummaryText(row: TransactionSummary): string {
  return objectText({ ...termMembers(row), ...memberTexts({ numTables: row.numTables }) })
}

function termMembers(row: Omit<TransactionRow, 'tables'>): Record<string, string | undefined> {
  const { id, state, isolationLevel, priority, createdAt, endedAt } = row
  return memberTexts({
    id,
    state,
    isolationLevel,
    priority,
    label: row.label ?? undefined,
    createdAt,
    committedAt: state === 'committed' ? endedAt : undefined,
  })
}
