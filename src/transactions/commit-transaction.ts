import { randomUUID } from 'node:crypto'
import type { Committer } from '../commits/committer.ts'
import type { Part, TransactionTerms } from '../commits/unit.ts'
import { elementSources, memberSources } from '../delta/json.ts'
import { invalidRequest } from '../http/faults.ts'
import type { WriteOutcome } from '../idempotency/rules.ts'
import { toFences } from '../locks/fences.ts'
import type { Asked } from '../tables/create-table.ts'
import { inSpan } from '../tracing/spans.ts'
import { readEntries, type TableEntry } from './entries.ts'
import type { TransactionRow } from './queries.ts'
import { proposeState, type ReceiveStateContext, readState } from './receive-state.ts'
import { type ReceiveContext, receiveTables } from './receive-tables.ts'
import {
  type CountedTable,
  findViolations,
  invalidTransaction,
  type TransactionLimits,
} from './rules.ts'
import type { CreateTransaction, TransactionTable } from './schema.ts'
import { transactionResult } from './transaction-json.ts'

/** What transactions are received and committed with. */
export interface TransactionContext extends TransactionLimits, ReceiveContext, ReceiveStateContext {
  committer: Committer
}

/**
 * Commits a transaction that is one request, to all of its tables or to none. `text` is the body as it was sent.
 * A refusal that comes of one table names it.
 */
export async function commitTransaction(
  context: TransactionContext,
  { body, text }: { body: CreateTransaction; text: string },
  { idempotent, answer }: Asked<TransactionRow>,
): Promise<WriteOutcome> {
  const entries = readEntries(tablesOf(body), { isWhole: true })
  const violations = findViolations(
    entries.map((entry) => countTable(entry, context)),
    context,
  )
  if (violations.length > 0) throw invalidTransaction(violations)
  const transaction = termsOf(body)
  const texts = elementSources(memberSources(text).get('tables') ?? '[]')
  const stateText = memberSources(text).get('state') ?? '[]'
  const asked = readState(body.state ?? [], stateText, context)
  const { parts, changes } = await inSpan('receive', () => receiveTables(entries, texts, context))
  const state = await proposeState(context, asked)
  return context.committer.submit({
    parts: transaction.isolationLevel === 'Serializable' ? parts.map(judgedStrictly) : parts,
    changes: changes.length > 0 ? changes : undefined,
    state,
    fences: toFences(body.fences),
    transaction,
    idempotent,
    answer: (verdict) => answer(transactionResult(transaction, verdict)),
  })
}

/** The terms of a new transaction. */
export function termsOf({
  isolationLevel = 'RepeatableRead',
  priority = 5,
  label,
}: CreateTransaction): TransactionTerms {
  return { id: randomUUID(), isolationLevel, priority, label }
}

function tablesOf(body: CreateTransaction): readonly TransactionTable[] {
  const { tables, state, expiresInMs } = body
  if (expiresInMs !== undefined) {
    const message = 'means nothing with commit: true; leave it out'
    throw invalidRequest('body', [{ pointer: '/expiresInMs', message }])
  }
  if (tables !== undefined || state !== undefined) return tables ?? []
  throw invalidRequest('body', [
    { pointer: '/tables', message: 'is missing; name tables, or write to the `state`' },
  ])
}

function countTable(
  entry: TableEntry,
  { actionsMax, heldActionsMax }: Pick<TransactionContext, 'actionsMax' | 'heldActionsMax'>,
): CountedTable {
  const { kind, table } = entry
  if (!('proposed' in entry)) {
    return { named: { table }, actionCount: 0, maxActions: 0, isEmpty: false }
  }
  const { actions, idempotency } = entry.proposed
  const isEmpty = kind === 'table' && actions.length === 0 && idempotency === undefined
  // Files of a new table cannot be staged.
  const maxActions = kind === 'create' ? Math.min(heldActionsMax, actionsMax) : actionsMax
  return { named: { table }, actionCount: actions.length, maxActions, isEmpty }
}

/** A proposal as it is judged at Serializable, unless it names a level of its own. */
export function judgedStrictly({ proposal, ...part }: Part): Part {
  const { isolationLevel = 'Serializable' } = proposal
  return { ...part, proposal: { ...proposal, isolationLevel } }
}
