import { type Fault, faultsBelow } from '../delta/faults.ts'
import { Problem } from '../problems.ts'

/** Why a transaction cannot be committed, whatever its tables hold. */
export type TransactionViolation =
  | { type: 'TooManyTables'; count: number; max: number }
  | { type: 'TransactionTooLarge'; actionCount: number; maxActions: number }
  | ({ type: 'TableTransactionTooLarge'; actionCount: number; maxActions: number } & NamedTable)
  | ({ type: 'EmptyActionList' } & (NamedTable | { tableId?: never; table?: never }))
  | { type: 'TransactionTooOld'; createdAt: string; maxAgeSeconds: number }
  | { type: 'TableNotFound'; tableId: string }
  | ({ type: 'VersionMismatch'; expected: number; actual: number } & (
      | { tableId: string }
      | { tableId?: never; namespace: string; key: string }
    ))
  | { type: 'DuplicateFile'; tableId: string; path: string }

/** A table by the name that the request gave it; of one that was staged its id. */
type NamedTable = { table: string; tableId?: never } | { tableId: string; table?: never }

export interface TransactionLimits {
  /** Tables in one transaction at most, and actions. */
  transactionTablesMax: number
  transactionActionsMax: number
}

/** A table's share in a transaction, as it is counted. An app transaction alone is no action, but not nothing. */
export interface CountedTable {
  named: NamedTable
  actionCount: number
  /** Actions for it at most. */
  maxActions: number
  isEmpty: boolean
}

/** All that is wrong with the size of a transaction. */
export function findViolations(
  tables: readonly CountedTable[],
  { transactionTablesMax, transactionActionsMax }: TransactionLimits,
): TransactionViolation[] {
  const violations: TransactionViolation[] = []
  const count = tables.length
  if (count > transactionTablesMax) {
    violations.push({ type: 'TooManyTables', count, max: transactionTablesMax })
  }
  const sum = tables.reduce((total, { actionCount }) => total + actionCount, 0)
  if (sum > transactionActionsMax) {
    const maxActions = transactionActionsMax
    violations.push({ type: 'TransactionTooLarge', actionCount: sum, maxActions })
  }
  for (const { named, actionCount, maxActions, isEmpty } of tables) {
    if (isEmpty) violations.push({ type: 'EmptyActionList', ...named })
    if (actionCount <= maxActions) continue
    violations.push({ type: 'TableTransactionTooLarge', ...named, actionCount, maxActions })
  }
  return violations
}

const violationsMax = 100

/** The refusal of a transaction that breaks these rules; there must be one. */
export function invalidTransaction(violations: readonly TransactionViolation[]): Problem {
  const [first] = violations
  const more = violations.length > 1 ? ` And ${violations.length - 1} more.` : ''
  return new Problem('invalid-transaction', `${first && sentenceOf(first)}${more}`, {
    facts: { violations: violations.slice(0, violationsMax), numViolations: violations.length },
  })
}

function sentenceOf(violation: TransactionViolation): string {
  switch (violation.type) {
    case 'TooManyTables':
      return `The transaction has ${violation.count} tables; ${violation.max} are allowed.`
    case 'TransactionTooLarge':
      return `The transaction has ${violation.actionCount} actions; ${violation.maxActions} are allowed.`
    case 'TableTransactionTooLarge':
      return `The transaction has ${violation.actionCount} actions${forTable(violation)}; ${violation.maxActions} are allowed.`
    case 'EmptyActionList':
      return `The transaction has no actions${forTable(violation)}.`
    case 'TransactionTooOld':
      return `The transaction was begun at ${violation.createdAt}; ${violation.maxAgeSeconds} seconds are allowed.`
    case 'TableNotFound':
      return `There is no table ${violation.tableId}.`
    case 'VersionMismatch':
      if (violation.tableId === undefined) {
        return `The write to the entry "${violation.key}" of "${violation.namespace}" expected version ${violation.expected}; it has version ${violation.actual}.`
      }
      return `The commit to the table ${violation.tableId} expected to become version ${violation.expected}; the next version is ${violation.actual}.`
    case 'DuplicateFile':
      return `The file ${JSON.stringify(violation.path)} is added twice to the table ${violation.tableId}.`
  }
}

function forTable({ table, tableId = table }: { table?: string; tableId?: string }): string {
  return tableId === undefined ? '' : ` for the table "${tableId}"`
}

/** The refusal of one table's share, told of the whole transaction: it names the table and its place in `tables`. */
export function inTable(
  { code, message, facts, headers, cause }: Problem,
  { table, index }: { table: string; index: number },
): Problem {
  const errors = facts['errors'] as readonly Fault[] | undefined
  return new Problem(code, `tables[${index}] (${table}): ${message}`, {
    facts: {
      ...facts,
      table,
      tableIndex: index,
      ...(errors && { errors: faultsBelow(`/tables/${index}`, errors) }),
    },
    headers,
    cause,
  })
}
