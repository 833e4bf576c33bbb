import { randomUUID } from 'node:crypto'
import type { Db } from '../../database/connect.ts'
import { findConsistencyToken } from '../../database/consistency-token.ts'
import { isLockTimeout } from '../../database/sqlstate.ts'
import { inTransaction } from '../../database/transaction.ts'
import { invalidRequest } from '../../http/faults.ts'
import { claimOnce, takeProblem } from '../../idempotency/apply-once.ts'
import { insertAnswers } from '../../idempotency/queries.ts'
import { isFinal, type Outcome, type WriteOutcome } from '../../idempotency/rules.ts'
import { Problem } from '../../problems.ts'
import type { Asked } from '../../tables/create-table.ts'
import { tableNotFound } from '../../tables/get-table.ts'
import { findTableIds } from '../../tables/queries.ts'
import { tableKey } from '../../tables/rules.ts'
import { invalidTransaction } from '../rules.ts'
import { type Asking, type Reserved, type Tried, tryToReserve } from './judge-request.ts'
import { deleteWait } from './queries.ts'
import { type Deadlock, memberFacts, notReserved } from './rules.ts'
import type { Waiter, Waiters } from './waiters.ts'

/** How a wait can end. */
export type WaitResult = 'reserved' | 'refused' | 'deadlock' | 'broken-off'

/** What tables are reserved with. */
export interface ReserveContext {
  db: Db
  idempotencyRetentionMs: number
  transactionTablesMax: number
  /** For how long who waits is taken to live without a sign of it. */
  transactionClaimMs: number
  reservationWaitMsMax: number
  reservationWaiters: Waiters
  /** Told of each wait when it is over. */
  onReservationWait: (wait: { seconds: number; result: WaitResult }) => void
  /** Told of each deadlock that was ended here. */
  onDeadlock: (facts: object) => void
}

/** A request for tables, named by id or by name. */
export interface ReserveRequest {
  transactionId: string
  tables: readonly string[]
  waitMs: number
  /** Aborted when the client has gone. */
  signal: AbortSignal
}

/** Reserves all of the tables for a transaction, or none; waits for them for as long as it may. */
export async function reserveTables(
  context: ReserveContext,
  { transactionId, tables, waitMs, signal }: ReserveRequest,
  asked: Asked<Reserved>,
): Promise<WriteOutcome> {
  refuseLongWait(context, waitMs)
  const { db, transactionClaimMs: aliveMs, transactionTablesMax: tablesMax } = context
  const tableIds = await resolveTables(context, tables)
  const asking = { requestId: randomUUID(), transactionId, tableIds, aliveMs, tablesMax }
  const deadline = performance.now() + waitMs
  const first = await attempt(context, { ...asking, mayWait: waitMs > 0 }, asked)
  const outcome = first ?? (await wait(context, { asking, deadline, signal }, asked))
  return { ...outcome, consistencyToken: await findConsistencyToken(db) }
}

function refuseLongWait({ reservationWaitMsMax: max }: ReserveContext, waitMs: number): void {
  if (waitMs <= max) return
  throw invalidRequest('body', [{ pointer: '/waitMs', message: `must be at most ${max}` }])
}

async function resolveTables(
  { db, transactionTablesMax: max }: ReserveContext,
  tables: readonly string[],
): Promise<string[]> {
  const count = tables.length
  if (count > max) throw invalidTransaction([{ type: 'TooManyTables', count, max }])
  const keys = tables.map(tableKey)
  const ids = await findTableIds(db, keys)
  const missing = keys.find((key) => !ids.has(key))
  if (missing !== undefined) throw await tableNotFound(db, missing)
  return [...new Set(ids.values())]
}

/** A request that was tried once and waits now. */
interface Waiting {
  asking: Omit<Asking, 'mayWait'>
  deadline: number
  signal: AbortSignal
}

/** Tries again whenever there is hope. Holds nothing of the database meanwhile. */
async function wait(
  context: ReserveContext,
  { asking, deadline, signal }: Waiting,
  asked: Asked<Reserved>,
): Promise<Outcome> {
  const { db, reservationWaiters, onReservationWait } = context
  const { requestId } = asking
  const started = performance.now()
  let result: WaitResult = 'broken-off'
  let waiter: Waiter | undefined
  try {
    waiter = reservationWaiters.enter(requestId)
    signal.addEventListener('abort', waiter.breakOff)
    if (signal.aborted) waiter.breakOff()
    for (;;) {
      const turn = await waiter.turn(Math.max(0, deadline - performance.now()))
      if (turn === 'gone') throw brokenOff()
      const mayWait = turn === 'due' && performance.now() < deadline
      const outcome = await attempt(context, { ...asking, mayWait }, asked)
      if (outcome === undefined) continue
      result = resultOf(outcome)
      return outcome
    }
  } finally {
    if (waiter !== undefined) signal.removeEventListener('abort', waiter.breakOff)
    waiter?.leave()
    // What cannot be forgotten now soon counts no more, for nobody renews it.
    if (result === 'broken-off') await deleteWait(db, requestId).catch(() => {})
    // Younger ones stood behind it.
    if (result !== 'reserved') reservationWaiters.wake()
    onReservationWait({ seconds: (performance.now() - started) / 1000, result })
  }
}

function resultOf({ answer: { status, body } }: Outcome): WaitResult {
  if (status < 300) return 'reserved'
  return JSON.parse(body).code === 'deadlock' ? 'deadlock' : 'refused'
}

/** Tries once. Answers nothing where the request waits. */
async function attempt(
  context: ReserveContext,
  asking: Asking,
  { idempotent, answer }: Asked<Reserved>,
): Promise<Outcome | undefined> {
  const { db, idempotencyRetentionMs, reservationWaiters, onDeadlock } = context
  const deadlocks: Deadlock[] = []
  const outcome = await inTransaction(db, async (tx) => {
    const kept = idempotent && (await claimOnce(tx, idempotent, idempotencyRetentionMs))
    const result =
      kept === undefined ? await tryToReserve(tx, asking).catch(takeProblem) : undefined
    if (result !== undefined && 'deadlocks' in result) deadlocks.push(...result.deadlocks)
    const isWaiting = asking.mayWait && isBlocked(result)
    if (isWaiting) return undefined
    await deleteWait(tx, asking.requestId)
    if (result === undefined) return kept
    const given = answer(verdictOf(result))
    if (idempotent !== undefined && isFinal(given)) {
      await insertAnswers(tx, [{ ...idempotent, ...given }])
    }
    return { answer: given, replayed: false }
  }).catch((error) => {
    // Somebody commits to a table for long: that is waited for like a reservation.
    if (asking.mayWait && isLockTimeout(error)) return undefined
    throw error
  })
  for (const { victim, cycle } of deadlocks) onDeadlock({ victim, cycle: cycle.map(memberFacts) })
  if (deadlocks.length > 0) reservationWaiters.wake()
  return outcome
}

function isBlocked(result: Tried | Problem | undefined): boolean {
  return result !== undefined && !(result instanceof Problem) && result.kind === 'blocked'
}

function verdictOf(result: Tried | Problem): Reserved | Problem {
  if (result instanceof Problem) return result
  if (result.kind === 'reserved') return result.reserved
  return result.kind === 'refused' ? result.problem : notReserved(result.blockers)
}

function brokenOff(): Problem {
  return new Problem('overloaded', 'The wait was broken off, for the server stops. Repeat.', {
    headers: { 'retry-after': '1' },
  })
}
