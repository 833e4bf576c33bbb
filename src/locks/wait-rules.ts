import type { Member } from '../transactions/reservations/rules.ts'
import type { GraphEdge } from './graph-queries.ts'

/** Who gives way: of the lowest priority, of several the one that began last. The cycle must have an edge. */
export function chooseVictim(cycle: readonly GraphEdge[]): GraphEdge {
  const [victim] = cycle.toSorted(
    (a, b) => a.priority - b.priority || b.since - a.since || (a.requestId < b.requestId ? 1 : -1),
  )
  if (victim === undefined) throw new Error('a cycle has no members')
  return victim
}

/** What is told of who waits in a cycle. */
export function memberOf({ waiter, priority, since, lock, tableId }: GraphEdge): Member {
  const instant = new Date(since).toISOString()
  if (lock === null) {
    return { transactionId: waiter, priority, createdAt: instant, tableId: tableId ?? '' }
  }
  return { holder: waiter, priority, waitingSince: instant, [lock.kind]: lock.name }
}
