import { randomUUID } from 'node:crypto'
import type { Committer } from '../commits/committer.ts'
import type { Part, TransactionTerms } from '../commits/unit.ts'
import { elementSources, memberSources } from '../delta/json.ts'
import { invalidRequest } from '../http/faults.ts'
import type { WriteOutcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import type { Asked } from '../tables/create-table.ts'
import { readEntries, type TableEntry } from './entries.ts'
import type { TransactionRow } from './queries.ts'
import { type ReceiveContext, receiveTables } from './receive-tables.ts'
import {
  type CountedTable,
  findViolations,
  invalidTransaction,
  type TransactionLimits,
} from './rules.ts'
import type { CreateTransaction, TransactionTable } from './schema.ts'
import { transactionRow } from './transaction-json.ts'

/** What transactions are received and committed with. */
export interface TransactionContext extends TransactionLimits, ReceiveContext {
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
  const entries = readEntries(tablesOf(body))
  const violations = findViolations(
    entries.map((entry) => countTable(entry, context)),
    context,
  )
  if (violations.length > 0) throw invalidTransaction(violations)
  const { isolationLevel = 'RepeatableRead', priority = 5, label } = body
  const transaction: TransactionTerms = { id: randomUUID(), isolationLevel, priority, label }
  const texts = elementSources(memberSources(text).get('tables') ?? '[]')
  const { parts, changes } = await receiveTables(entries, texts, context)
  return context.committer.submit({
    parts: isolationLevel === 'Serializable' ? parts.map(judgedStrictly) : parts,
    changes: changes.length > 0 ? changes : undefined,
    transaction,
    idempotent,
    answer: (verdict) =>
      answer(
        verdict.kind === 'refused'
          ? verdict.problem
          : transactionRow({ ...transaction, ...verdict }),
      ),
  })
}

const notOffered = ['state', 'fences', 'expiresInMs'] as const

function tablesOf(body: CreateTransaction): readonly TransactionTable[] {
  const field = notOffered.find((name) => body[name] !== undefined)
  if (field !== undefined) {
    throw new Problem('not-implemented', `The field ${field} is not offered yet. Leave it out.`, {
      facts: { field },
    })
  }
  if (body.commit !== true) {
    throw new Problem(
      'not-implemented',
      'Transactions over several requests are not offered yet. Send all tables in one, with commit: true.',
      { facts: { field: 'commit' } },
    )
  }
  const { tables } = body
  if (tables !== undefined) return tables
  throw invalidRequest('body', [{ pointer: '/tables', message: 'is missing; name the tables' }])
}

function countTable(
  entry: TableEntry,
  { actionsMax, heldActionsMax }: Pick<TransactionContext, 'actionsMax' | 'heldActionsMax'>,
): CountedTable {
  const { kind, table } = entry
  if (!('proposed' in entry)) {
    return { table, actionCount: 0, maxActions: 0, isEmpty: false }
  }
  const { actions, idempotency } = entry.proposed
  const isEmpty = kind === 'table' && actions.length === 0 && idempotency === undefined
  // Files of a new table cannot be staged.
  const maxActions = kind === 'create' ? Math.min(heldActionsMax, actionsMax) : actionsMax
  return { table, actionCount: actions.length, maxActions, isEmpty }
}

function judgedStrictly({ proposal, ...part }: Part): Part {
  const { isolationLevel = 'Serializable' } = proposal
  return { ...part, proposal: { ...proposal, isolationLevel } }
}
