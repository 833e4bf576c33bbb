import { randomUUID } from 'node:crypto'
import type { Committer } from '../commits/committer.ts'
import { receiveJson } from '../commits/receive.ts'
import { type Intake, openIntake } from '../commits/staged/intake.ts'
import { createStage } from '../commits/staged/stage.ts'
import type { Part, TransactionTerms } from '../commits/unit.ts'
import type { Db, Pool } from '../database/connect.ts'
import { elementSources, memberSources } from '../delta/json.ts'
import { invalidRequest } from '../http/faults.ts'
import type { WriteOutcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import type { Asked } from '../tables/create-table.ts'
import { getTable } from '../tables/get-table.ts'
import { headOf } from '../tables/queries.ts'
import { tableKey } from '../tables/rules.ts'
import type { TransactionRow } from './queries.ts'
import { findViolations, inTable, invalidTransaction, type TransactionLimits } from './rules.ts'
import type { CreateTransaction, TransactionTable } from './schema.ts'
import { transactionRow } from './transaction-json.ts'

/** What transactions are received and committed with. */
export interface TransactionContext extends TransactionLimits {
  db: Db
  /** For COPY of what is sent. */
  stagePool: Pool
  committer: Committer
  /** Actions of one transaction that are held in memory. */
  heldActionsMax: number
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
  const tables = tablesOf(body)
  const violations = findViolations(tables.map(countTable), context)
  if (violations.length > 0) throw invalidTransaction(violations)
  const { isolationLevel = 'RepeatableRead', priority = 5, label } = body
  const transaction: TransactionTerms = { id: randomUUID(), isolationLevel, priority, label }
  const texts = elementSources(memberSources(text).get('tables') ?? '[]')
  const parts = await receiveParts(tables, texts, context)
  return context.committer.submit({
    parts: isolationLevel === 'Serializable' ? parts.map(judgedStrictly) : parts,
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

function countTable({ table, actions, idempotency }: TransactionTable) {
  const isEmpty = actions.length === 0 && idempotency === undefined
  return { table, actionCount: actions.length, isEmpty }
}

function judgedStrictly({ table, proposal }: Part): Part {
  return {
    table,
    proposal: { ...proposal, isolationLevel: proposal.isolationLevel ?? 'Serializable' },
  }
}

/** Makes a proposal for each table. The files of those for which memory has no room are staged. */
async function receiveParts(
  tables: readonly TransactionTable[],
  texts: readonly string[],
  context: TransactionContext,
): Promise<Part[]> {
  const { db, stagePool, actionsMax } = context
  const intakes: Intake[] = []
  const parts: Part[] = []
  let room = context.heldActionsMax
  try {
    for (const [index, { table: name, ...proposed }] of tables.entries()) {
      const table = tableKey(name)
      const intake = openIntake({
        actionsMax,
        heldActionsMax: room,
        readHead: async () => headOf(await getTable(db, table)),
        createStage: () => createStage({ db, stagePool }),
      })
      intakes.push(intake)
      const proposal = await receiveJson(proposed, texts[index] ?? '{}', intake).catch((error) => {
        throw error instanceof Problem ? inTable(error, { table, index }) : error
      })
      room -= proposal.staged === undefined ? proposal.actions.length : 0
      parts.push({ table, proposal })
    }
    return parts
  } catch (error) {
    await Promise.all(intakes.map((intake) => intake.abandon()))
    throw error
  }
}
