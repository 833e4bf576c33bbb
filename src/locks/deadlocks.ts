import type { Db } from '../database/connect.ts'
import { inTransaction } from '../database/transaction.ts'
import {
  deleteReservations,
  lockGraph,
  updateVictim,
} from '../transactions/reservations/queries.ts'
import { findCycle } from '../transactions/reservations/rules.ts'
import { type GraphEdge, listEdges } from './graph-queries.ts'
import type { Demand, Verdict } from './judge.ts'
import type { LockName } from './rows.ts'
import { chooseVictim, memberOf } from './wait-rules.ts'

export interface DeadlockOptions {
  db: Db
  submit: (lock: LockName, demand: Demand) => Promise<{ verdict: Verdict }>
  /** Told of each deadlock that was ended here. */
  onDeadlock: (facts: object) => void
}

/**
 * Ends the circles in which these requests wait for themselves, over locks and reservations of tables, at whatever
 * servers: of each, one gives way. An edge counts once it is committed, so whoever looks last sees the whole circle; two
 * that look at once choose the same victim.
 */
export async function endDeadlocks(
  { db, submit, onDeadlock }: DeadlockOptions,
  requestIds: readonly string[],
): Promise<void> {
  const edges = await listEdges(db, requestIds)
  const asked = new Set(requestIds)
  const starts = new Set(
    edges.flatMap(({ waiter, requestId }) => (asked.has(requestId) ? waiter : [])),
  )
  let left = edges
  for (const start of starts) {
    const cycle = findCycle(start, left)
    if (cycle === undefined) continue
    const victim = chooseVictim(cycle)
    left = left.filter(({ requestId }) => requestId !== victim.requestId)
    const at = cycle.indexOf(victim)
    const members = [...cycle.slice(at), ...cycle.slice(0, at)].map(memberOf)
    const isEnded = await breakWait({ db, submit }, victim, JSON.stringify(members))
    if (isEnded) onDeadlock({ victim: victim.waiter, cycle: members })
  }
}

/** Whether the request has waited until then. */
async function breakWait(
  { db, submit }: Pick<DeadlockOptions, 'db' | 'submit'>,
  { waiter, requestId, lock }: GraphEdge,
  cycle: string,
): Promise<boolean> {
  if (lock !== null) {
    const { verdict } = await submit(lock, { kind: 'break', requestId, cycle })
    return verdict.kind === 'deadlock'
  }
  await inTransaction(db, async (tx) => {
    await lockGraph(tx)
    await deleteReservations(tx, [waiter])
    await updateVictim(tx, waiter, cycle)
  })
  return true
}
