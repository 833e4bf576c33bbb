import {
  type CountedTable,
  findViolations,
  type TransactionLimits,
  type TransactionViolation,
} from '../rules.ts'
import type { LockedTransaction } from './queries.ts'
import { stagedKind } from './rules.ts'
import type { StagedNamespace } from './state-queries.ts'
import type { StagedTableRow } from './table-queries.ts'

/** The limits of staged transactions. */
export interface StagedLimits extends TransactionLimits {
  /** Actions on one table at most. */
  actionsMax: number
  /** Actions for new tables at most, which are held in memory. */
  heldActionsMax: number
  /** Beyond this age a transaction is not committed. */
  transactionAgeMsMax: number
}

/** What a transaction has staged, or read. */
export interface StagedWork {
  tables: readonly StagedTableRow[]
  namespaces: readonly StagedNamespace[]
}

/** All that is wrong with a staged transaction, as far as counts and its age tell. */
export function findStagedViolations(
  { createdAt, ageMs }: Pick<LockedTransaction, 'createdAt' | 'ageMs'>,
  { tables, namespaces }: StagedWork,
  limits: StagedLimits,
): TransactionViolation[] {
  const { transactionAgeMsMax } = limits
  const counted = countStaged(tables, limits)
  const violations = findViolations(counted, limits)
  const isEmpty = tables.length + namespaces.length === 0
  if (isEmpty) violations.push({ type: 'EmptyActionList' })
  if (ageMs > transactionAgeMsMax) {
    const maxAgeSeconds = transactionAgeMsMax / 1000
    violations.push({ type: 'TransactionTooOld', createdAt, maxAgeSeconds })
  }
  return violations
}

/** The shares of tables in their transaction; those that were only read have no actions. */
export function countStaged(
  tables: readonly StagedTableRow[],
  { actionsMax, heldActionsMax }: Pick<StagedLimits, 'actionsMax' | 'heldActionsMax'>,
): CountedTable[] {
  let room = heldActionsMax
  return tables.map(({ tableId, fields, numActions }) => {
    const kind = stagedKind(fields)
    const maxActions = kind === 'create' ? Math.min(room, actionsMax) : actionsMax
    if (kind === 'create') room = Math.max(0, room - numActions)
    const isEmpty = kind === 'table' && fields !== null && isEmptyProposal(fields, numActions)
    return { named: { tableId }, actionCount: numActions, maxActions, isEmpty }
  })
}

/** An app transaction alone is no action, but not nothing. */
function isEmptyProposal(fields: string, numActions: number): boolean {
  return numActions === 0 && !Object.hasOwn(JSON.parse(fields), 'idempotency')
}
