import type { Committer } from '../../commits/committer.ts'
import { findConsistencyToken } from '../../database/consistency-token.ts'
import { toProblem } from '../../database/sqlstate.ts'
import { applyOnce } from '../../idempotency/apply-once.ts'
import type { WriteOutcome } from '../../idempotency/rules.ts'
import { Problem } from '../../problems.ts'
import type { Asked } from '../../tables/create-table.ts'
import { transactionNotFound } from '../../transactions/queries.ts'
import { transactionResult } from '../../transactions/transaction-json.ts'
import type { StateProposal, StateReads } from '../operations.ts'
import type { BufferedWrite } from './buffer.ts'
import type { OpenTransaction } from './open-transaction.ts'
import { findStateTransaction, type StateTransactionRow, updateEnded } from './queries.ts'
import { isInDoubt, isOver } from './rules.ts'
import { type FindContext, getEnded } from './use-transaction.ts'

/** What interactive transactions are ended with. */
export interface EndContext extends FindContext {
  committer: Committer
  idempotencyRetentionMs: number
}

/**
 * Commits what a transaction has written, if what it was decided on still stands. Committed again it is answered as it
 * was. A refusal ends it; where there is no verdict it stays open, and can be committed again.
 */
export function commitTransaction(
  context: EndContext,
  id: string,
  asked: Asked<StateTransactionRow>,
): Promise<WriteOutcome> {
  const endOpen = (open: OpenTransaction) => commitOpen(context, open, asked)
  return end(context, id, { ...asked, endOpen, endedAs: 'committed' })
}

/** Forgets what a transaction has written, and ends it. */
export function rollBackTransaction(
  context: EndContext,
  id: string,
  asked: Asked<StateTransactionRow>,
): Promise<WriteOutcome> {
  const endOpen = async (open: OpenTransaction) => {
    if (open.isInDoubt) throw isInDoubt(id)
    await context.openTransactions.end(open, 'rolled-back', true)
    return endOnce(context, { open, outcome: 'rolled-back' }, asked)
  }
  return end(context, id, { ...asked, endOpen })
}

/** Does what ends a transaction, or answers who asks for that when it is over; under the same key as the first time. */
async function end(
  context: EndContext,
  id: string,
  { endOpen, endedAs, ...asked }: Ending,
): Promise<WriteOutcome> {
  const open = context.openTransactions.find(id)
  try {
    if (open !== undefined) return await open.run(() => endOpen(open))
  } catch (error) {
    const isOverByNow = error instanceof Problem && error.code === 'transaction-not-active'
    if (!isOverByNow) throw error
  }
  const row = await getEnded(context, id)
  return applyOnce(context.db, {
    request: asked.idempotent,
    retentionMs: context.idempotencyRetentionMs,
    answer: asked.answer,
    work: async () => {
      if (row.state !== endedAs) throw isOver(row)
      return row
    },
  })
}

/** How a transaction is to end, and as what it must have ended already to be answered like that again. */
interface Ending extends Asked<StateTransactionRow> {
  endOpen: (open: OpenTransaction) => Promise<WriteOutcome>
  endedAs?: 'committed'
}

async function commitOpen(
  context: EndContext,
  open: OpenTransaction,
  asked: Asked<StateTransactionRow>,
): Promise<WriteOutcome> {
  const { openTransactions } = context
  if (open.buffer.namespaces().length === 0) {
    // All was read from one view, at which it has its place among the others.
    const outcome = await endOnce(context, { open, outcome: 'committed' }, asked)
    await openTransactions.end(open, 'committed', true)
    return outcome
  }
  const { outcome, isRefused } = await submit(context, open, asked).catch(async (error) => {
    const problem = error instanceof Problem ? error : toProblem(error)
    // All others come before anything is written.
    if (problem !== undefined && problem.code !== 'database-unavailable') throw error
    open.isInDoubt = true
    const committed = await findCommitted(context, open, asked)
    if (committed === undefined) throw error
    return { outcome: committed, isRefused: false }
  })
  if (!isRefused) {
    await openTransactions.end(open, 'committed', true)
    return outcome
  }
  // What is refused now may be refused for what an earlier attempt has done.
  const committed = open.isInDoubt ? await findCommitted(context, open, asked) : undefined
  await openTransactions.end(open, committed === undefined ? 'rolled-back' : 'committed')
  return committed ?? outcome
}

/** Commits through the committer; `isRefused` where the verdict was against it. */
async function submit(
  { committer }: EndContext,
  open: OpenTransaction,
  { idempotent, answer }: Asked<StateTransactionRow>,
): Promise<{ outcome: WriteOutcome; isRefused: boolean }> {
  const { row } = open
  const { id, isolationLevel } = row
  const transaction = { id, isolationLevel, priority: 5, label: row.label ?? undefined }
  let isRefused = false
  const outcome = await committer.submit({
    parts: [],
    state: proposalsOf(open),
    transaction,
    idempotent,
    answer: (verdict) => {
      const result = transactionResult(transaction, verdict)
      isRefused = result instanceof Problem
      if (result instanceof Problem) return answer(result)
      const { endedAt, stateResults } = result
      return answer({ ...row, state: 'committed', endedAt, stateResults })
    },
  })
  return { outcome, isRefused }
}

/** The answer to an attempt that took effect although that was not heard of, if one did. */
async function findCommitted(
  { db }: EndContext,
  { row: { id } }: OpenTransaction,
  { answer }: Asked<StateTransactionRow>,
): Promise<WriteOutcome | undefined> {
  const row = await findStateTransaction(db, id).catch(() => undefined)
  if (row?.state !== 'committed') return undefined
  const consistencyToken = await findConsistencyToken(db)
  return { answer: answer(row), replayed: false, consistencyToken }
}

/** Ends a transaction that writes nothing, noting how. */
function endOnce(
  { db, idempotencyRetentionMs: retentionMs }: EndContext,
  { open, outcome }: { open: OpenTransaction; outcome: 'committed' | 'rolled-back' },
  { idempotent, answer }: Asked<StateTransactionRow>,
): Promise<WriteOutcome> {
  const { id } = open.row
  return applyOnce(db, {
    request: idempotent,
    retentionMs,
    answer,
    work: async (tx) => {
      await updateEnded(tx, [id], outcome)
      const row = await findStateTransaction(tx, id)
      if (row === undefined) throw transactionNotFound(id)
      return row
    },
  })
}

/** What a transaction asks of each namespace, and what of it must not have changed at its level. */
function proposalsOf({ row, buffer, reads, names }: OpenTransaction): StateProposal[] {
  const isSerializable = row.isolationLevel === 'Serializable'
  const ids = isSerializable ? reads.namespaces() : buffer.namespaces()
  return ids.map((namespaceId) => {
    const writes = buffer.of(namespaceId)
    return {
      namespaceId,
      namespace: names.get(namespaceId) ?? '',
      operations: writes.map(toOperation),
      isAtomic: true,
      reads: isSerializable ? reads.of(namespaceId) : readsOf(row, writes),
    }
  })
}

function toOperation({ operation, base, isConditional }: BufferedWrite) {
  if (!isConditional) return operation
  const versions = [base.isThere ? base.version : 0]
  return { ...operation, condition: { kind: 'version' as const, versions } }
}

function readsOf(
  { isolationLevel }: StateTransactionRow,
  writes: readonly BufferedWrite[],
): StateReads | undefined {
  if (isolationLevel === 'ReadCommitted') return undefined
  return { keys: writes.map(({ base }) => base), ranges: [] }
}
