import type { Db, Tx } from '../database/connect.ts'
import { findConsistencyToken } from '../database/consistency-token.ts'
import { inTransaction } from '../database/transaction.ts'
import { Problem } from '../problems.ts'
import { claimKeys, findAnswers, insertAnswers } from './queries.ts'
import {
  type Answer,
  type IdempotentRequest,
  inProgress,
  isFinal,
  type Outcome,
  replay,
  type WriteOutcome,
} from './rules.ts'

/** Work that is to apply once, in a transaction, and how what comes of it is answered. */
export interface Once<Result> {
  request: IdempotentRequest | undefined
  retentionMs: number
  /** Throws a `Problem` when it refuses; it must do so before it has written anything. */
  work: (tx: Tx) => Promise<Result>
  answer: (result: Result | Problem) => Answer
}

/** Does the work and keeps its answer in one transaction, or gives the answer that was kept. */
export function applyOnce<Result>(db: Db, once: Once<Result>): Promise<WriteOutcome> {
  return db.connection().execute(async (one) => {
    const outcome = await inTransaction(one, (tx) => decide(tx, once))
    return { ...outcome, consistencyToken: await findConsistencyToken(one) }
  })
}

async function decide<Result>(tx: Tx, once: Once<Result>): Promise<Outcome> {
  const { request, retentionMs, work, answer } = once
  const give = async () => answer(await work(tx).catch(takeProblem))
  if (request === undefined) return { answer: await give(), replayed: false }
  const kept = await claimOnce(tx, request, retentionMs)
  if (kept !== undefined) return kept
  const given = await give()
  if (isFinal(given)) await insertAnswers(tx, [{ ...request, ...given }])
  return { answer: given, replayed: false }
}

/**
 * Claims the key of a request for this transaction, and answers as it was answered before, if it was. Throws a
 * `Problem` where it still runs, or was another.
 */
export async function claimOnce(
  tx: Tx,
  request: IdempotentRequest,
  retentionMs: number,
): Promise<Outcome | undefined> {
  const busy = await claimKeys(tx, [request.key])
  if (busy.size > 0) throw inProgress(request)
  const kept = (await findAnswers(tx, [request.key], retentionMs)).get(request.key)
  if (kept === undefined) return undefined
  const again = replay(request, kept)
  if (again instanceof Problem) throw again
  return { answer: again, replayed: true }
}

/** A refusal as a value; other errors are thrown on. */
export function takeProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  throw error
}
