import { receiptText } from '../commits/commit-json.ts'
import type {
  ChangedTable,
  Commit,
  CommittedTransaction,
  TransactionTerms,
  Verdict,
} from '../commits/unit.ts'
import { memberTexts, objectText } from '../http/json-text.ts'
import type { Problem } from '../problems.ts'
import { resultsText } from '../state/entry-json.ts'
import type { StateResult } from '../state/operations.ts'
import type { TransactionRow, TransactionSummary } from './queries.ts'
import type { ReservedTable } from './reservations/queries.ts'
import type { StagedNamespace } from './staged/state-queries.ts'
import type { StagedTableRow } from './staged/table-queries.ts'

/** What came of a transaction: what is kept of it where it was committed. */
export function transactionResult(
  terms: TransactionTerms,
  verdict: Verdict,
): TransactionRow | Problem {
  return verdict.kind === 'refused' ? verdict.problem : transactionRow({ ...terms, ...verdict })
}

/** What is kept of a transaction that was committed. */
export function transactionRow({
  committedAt,
  tables,
  state,
  begun,
  ...terms
}: CommittedTransaction): TransactionRow {
  const at = new Date(committedAt).toISOString()
  return {
    ...terms,
    state: 'committed',
    createdAt: begun?.createdAt ?? at,
    expiresAt: null,
    endedAt: at,
    tables: textOnce(tables, tableReceiptText) ?? '[]',
    stateResults: textOnce(state, stateResultText) ?? null,
  }
}

/** Wanted twice: for the answer and for the row. */
const texts = new WeakMap<readonly unknown[], string>()

/** What became of the tables, or of the state, as a list; undefined where there were none. */
function textOnce<Result>(
  results: readonly Result[],
  text: (result: Result) => string,
): string | undefined {
  if (results.length === 0) return undefined
  const known = texts.get(results) ?? `[${results.map(text).join(',')}]`
  texts.set(results, known)
  return known
}

function stateResultText(result: StateResult): string {
  return objectText({
    ...memberTexts({ namespace: result.namespace, revision: result.revision }),
    results: resultsText(result),
  })
}

function tableReceiptText(table: Commit | ChangedTable): string {
  return 'row' in table ? receiptText(table) : objectText(memberTexts({ ...table }))
}

/** A transaction as it is shown; one under way with what it has reserved, and staged for the state. */
export interface ShownTransaction extends TransactionRow {
  reservations?: readonly ReservedTable[]
  stagedState?: readonly StagedNamespace[]
}

/** The answer to who commits a transaction or looks it up. */
export function transactionText({
  reservations = [],
  stagedState = [],
  ...row
}: ShownTransaction): string {
  return objectText({
    ...termMembers(row),
    tables: row.tables ?? undefined,
    stateResults: row.stateResults ?? undefined,
    stagedState: stagedState.length === 0 ? undefined : JSON.stringify(stagedState),
    reservations: reservations.length === 0 ? undefined : JSON.stringify(reservations),
  })
}

/** A transaction in a list. */
export function transactionSummaryText(row: TransactionSummary): string {
  return objectText({ ...termMembers(row), ...memberTexts({ numTables: row.numTables }) })
}

/** What is staged for the tables of a transaction, or was read of them. */
export function stagedTablesText(tables: readonly StagedTableRow[]): string {
  return `[${tables.map(stagedTableText).join(',')}]`
}

/** What is staged for a table, or was read of it. */
export function stagedTableText({ tableId, fields, ...row }: StagedTableRow): string {
  const isStaged = fields !== null
  return objectText({
    ...memberTexts({
      tableId,
      status: isStaged ? 'staged' : row.readVersion === null ? 'unstaged' : 'read',
      readVersion: row.readVersion ?? undefined,
      numActions: isStaged ? row.numActions : undefined,
    }),
    proposal: fields ?? undefined,
  })
}

/** What is staged for the state by a transaction. */
export function stagedStateText(stagedState: readonly StagedNamespace[]): string {
  return JSON.stringify({ stagedState })
}

function termMembers(
  row: Omit<TransactionRow, 'tables' | 'stateResults'>,
): Record<string, string | undefined> {
  const { id, state, isolationLevel, priority, createdAt, endedAt } = row
  const isUnderWay = state === 'active' || state === 'committing'
  return memberTexts({
    id,
    state,
    isolationLevel,
    priority,
    label: row.label ?? undefined,
    createdAt,
    expiresAt: isUnderWay ? row.expiresAt : undefined,
    committedAt: state === 'committed' ? endedAt : undefined,
    endedAt: isUnderWay || state === 'committed' ? undefined : (endedAt ?? undefined),
  })
}
