import { randomUUID } from 'node:crypto'
import type { Committer } from '../../commits/committer.ts'
import type { Part } from '../../commits/unit.ts'
import { findConsistencyToken } from '../../database/consistency-token.ts'
import { inTransaction } from '../../database/transaction.ts'
import { claimOnce, takeProblem } from '../../idempotency/apply-once.ts'
import { insertAnswers } from '../../idempotency/queries.ts'
import type { Outcome, WriteOutcome } from '../../idempotency/rules.ts'
import type { FenceBody } from '../../locks/fence-schema.ts'
import { toFences } from '../../locks/fences.ts'
import type { Asked } from '../../tables/create-table.ts'
import { inSpan } from '../../tracing/spans.ts'
import { judgedStrictly } from '../commit-transaction.ts'
import type { TransactionRow } from '../queries.ts'
import type { ReceiveStateContext } from '../receive-state.ts'
import { invalidTransaction } from '../rules.ts'
import type { CommitStaged } from '../schema.ts'
import { transactionResult } from '../transaction-json.ts'
import { findDuplicateFiles } from './duplicate-files.ts'
import { findStagedViolations, type StagedWork } from './limits.ts'
import { type LockedTransaction, releaseClaim, renewClaim, updateCommitting } from './queries.ts'
import { readingPart, withReads } from './reads.ts'
import { abandonParts, type PartsContext, receiveParts } from './receive-parts.ts'
import { notActive } from './rules.ts'
import { splitChanges } from './split-changes.ts'
import { receiveStagedState } from './stage-state.ts'
import type { StageContext } from './stage-table.ts'
import { listStagedNamespaces } from './state-queries.ts'
import { listStagedTables, type StagedTableRow } from './table-queries.ts'
import { lockActive, lockAny } from './use-transaction.ts'

/** What staged transactions are committed with. */
export interface CommitStagedContext extends StageContext, PartsContext, ReceiveStateContext {
  committer: Committer
  /** For how long who commits is taken to live without a sign of it. */
  transactionClaimMs: number
  /** Beyond this age a transaction is not committed. */
  transactionAgeMsMax: number
}

/**
 * Commits what is staged, to all tables or to none. A transaction that is committed already is answered as it was. After
 * a refusal it is active again, with all that was staged. `fences` count for this attempt, beside those that it has.
 */
export async function commitStaged(
  context: CommitStagedContext,
  { id, fences = [] }: { id: string } & CommitStaged,
  asked: Asked<TransactionRow>,
): Promise<WriteOutcome> {
  const begun = await beginCommit(context, id, asked)
  if ('outcome' in begun) {
    return { ...begun.outcome, consistencyToken: await findConsistencyToken(context.db) }
  }
  const { db, transactionClaimMs: forMs } = context
  const claim = { id, claim: begun.claim, forMs }
  const heart = setInterval(() => void renewClaim(db, claim).catch(() => {}), forMs / 4)
  let isCommitted = false
  try {
    const outcome = await submit(context, { ...begun, brought: fences }, asked)
    isCommitted = outcome.answer.status < 300
    return outcome
  } finally {
    clearInterval(heart)
    // If the database is away, or the transaction committed all the same, nothing is done; a claim runs out by itself.
    if (!isCommitted) await releaseClaim(db, claim).catch(() => {})
  }
}

/** A transaction that is committing by a claim of ours. */
interface Begun {
  row: LockedTransaction
  claim: string
  tables: readonly StagedTableRow[]
}

/** Claims a transaction, or answers at once. */
function beginCommit(
  context: CommitStagedContext,
  id: string,
  { idempotent, answer }: Asked<TransactionRow>,
): Promise<Begun | { outcome: Outcome }> {
  const { db, idempotencyRetentionMs, transactionClaimMs: forMs } = context
  return inTransaction(db, async (tx) => {
    const kept = idempotent && (await claimOnce(tx, idempotent, idempotencyRetentionMs))
    if (kept !== undefined) return { outcome: kept }
    const found = await lockAny(tx, id)
    // What the attempt under way will come to is its own to keep.
    if (found.state === 'committing') throw notActive(found)
    if (found.state === 'committed') {
      return { outcome: { answer: answer(found), replayed: false } }
    }
    const tables = await listStagedTables(tx, id)
    const namespaces = await listStagedNamespaces(tx, id)
    const refusal = await lockActive(tx, id)
      .then((row) => refuseCommit(row, { tables, namespaces }, context))
      .catch(takeProblem)
    if (refusal !== undefined) {
      const given = answer(refusal)
      if (idempotent !== undefined) await insertAnswers(tx, [{ ...idempotent, ...given }])
      return { outcome: { answer: given, replayed: false } }
    }
    const claim = randomUUID()
    await updateCommitting(tx, { id, claim, forMs })
    return { row: found, claim, tables }
  })
}

function refuseCommit(
  row: LockedTransaction,
  staged: StagedWork,
  context: CommitStagedContext,
): undefined {
  const violations = findStagedViolations(row, staged, context)
  if (violations.length > 0) throw invalidTransaction(violations)
}

async function submit(
  context: CommitStagedContext,
  { row, claim, tables, brought }: Begun & { brought: readonly FenceBody[] },
  { idempotent, answer }: Asked<TransactionRow>,
): Promise<WriteOutcome> {
  const { id, isolationLevel, priority, label, createdAt } = row
  const transaction = {
    id,
    isolationLevel,
    priority,
    label: label ?? undefined,
    begun: { createdAt, claim },
  }
  const staged = tables.filter(({ fields }) => fields !== null)
  const state = await receiveStagedState(context, id)
  const received = await inSpan('receive what is staged', () => receiveParts(context, id, staged))
  await refuseDuplicates(context, received)
  const { parts, changes } = await splitChanges(context, staged, received).catch(async (error) => {
    await abandonParts(received)
    throw error
  })
  return context.committer.submit({
    parts: isolationLevel === 'Serializable' ? judgedByReads(parts, tables) : parts,
    changes: changes.length > 0 ? changes : undefined,
    state,
    fences: toFences([...JSON.parse(row.fences ?? '[]'), ...brought]),
    transaction,
    idempotent,
    answer: (verdict) => answer(transactionResult(transaction, verdict)),
  })
}

/** The parts with all that was read through the transaction, also of tables that nothing is proposed to, or that are dropped. */
function judgedByReads(parts: readonly Part[], tables: readonly StagedTableRow[]): Part[] {
  const rows = new Map(tables.map((row) => [row.tableId, row]))
  const proposed = new Set(parts.map(({ table }) => table))
  const onlyRead = tables.filter(({ tableId, reads }) => reads !== null && !proposed.has(tableId))
  return [
    ...parts.map((part) => {
      const row = rows.get(part.table)
      const strict = judgedStrictly(part)
      return row === undefined ? strict : withReads(strict, row)
    }),
    ...onlyRead.map((row, at) => readingPart(row, tables.length + at)),
  ]
}

async function refuseDuplicates(
  { db }: CommitStagedContext,
  parts: readonly Part[],
): Promise<void> {
  const duplicates = await findDuplicateFiles(db, parts)
  if (duplicates.length === 0) return
  await abandonParts(parts)
  throw invalidTransaction(duplicates)
}
