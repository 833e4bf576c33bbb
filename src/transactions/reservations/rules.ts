import { Problem } from '../../problems.ts'

/** A table that a transaction has for itself. */
export interface Reservation extends Holder {
  tableId: string
}

/** A transaction that stands in the way of a writer. */
export interface Holder {
  transactionId: string
  label: string | null
  expiresAt: string
}

/** Why a request does not get a table: a transaction has it, or waits for it and was begun earlier. */
export interface Blocker extends Reservation {
  isWaiting: boolean
}

/** An edge of the wait-for graph: who waits, for which table, and who has it. */
export interface WaitEdge {
  waiter: string
  tableId: string
  holder: string
}

/** A transaction in a cycle, and the table that it waits for, which the next one has. */
export interface CycleMember {
  transactionId: string
  label: string | null
  priority: number
  createdAt: string
  tableId: string
}

/** What is told of who waits in a cycle: a transaction that waits for a table, or the holder of locks that waits for one. */
export type Member =
  | (Omit<CycleMember, 'label'> & { label?: string })
  | { holder: string; priority: number; waitingSince: string; lock?: string; election?: string }

/** A deadlock that was ended: the cycle begins with the transaction that gave way. */
export interface Deadlock {
  victim: string
  cycle: readonly CycleMember[]
}

const blockersMax = 100

/** The refusal of a writer other than the transaction that has reserved the table. */
export function tableReserved(name: string, reservation: Reservation): Problem {
  const { tableId, ...holder } = reservation
  return new Problem(
    'table-reserved',
    `The table ${name} is reserved by the transaction ${nameOf(holder)} until it ends, at ${holder.expiresAt} at the latest.`,
    { facts: { tableId, ...factsOf(holder) } },
  )
}

/** The refusal of a reservation; there must be a blocker. */
export function notReserved(blockers: readonly Blocker[]): Problem {
  const [first] = blockers
  if (first === undefined) throw new Error('a reservation is refused for no reason')
  const { tableId, isWaiting, ...holder } = first
  const does = isWaiting ? 'waited for by the older transaction' : 'reserved by the transaction'
  const more = blockers.length > 1 ? ` And ${blockers.length - 1} more.` : ''
  const list = blockers.slice(0, blockersMax)
  return new Problem(
    'table-reserved',
    `The table ${tableId} is ${does} ${nameOf(holder)}; nothing was reserved.${more}`,
    {
      facts: {
        tableId,
        ...factsOf(holder),
        blockers: list.map((one) => ({
          tableId: one.tableId,
          ...factsOf(one),
          isWaiting: one.isWaiting,
        })),
      },
    },
  )
}

/** The refusal of a request that was chosen to end a deadlock. */
export function deadlocked({
  victim,
  cycle,
}: {
  victim: string
  cycle: readonly Member[]
}): Problem {
  const way = cycle.map((one) =>
    'transactionId' in one
      ? `${one.transactionId} waits for ${one.tableId}`
      : `${one.holder} waits for the lock ${one.lock ?? one.election}`,
  )
  return new Problem(
    'deadlock',
    `Transactions waited for each other in a circle: ${way.join(', ')}, which ${victim} had. This one gave way.`,
    { facts: { transactionId: victim, cycle } },
  )
}

/** What is told of a transaction in a cycle. */
export function memberFacts({ label, ...member }: CycleMember): Member {
  return { ...member, ...(label !== null && { label }) }
}

function nameOf({ transactionId, label }: Holder): string {
  return label === null ? transactionId : `${transactionId} (${label})`
}

function factsOf({ transactionId, label, expiresAt }: Holder) {
  return { transactionId, ...(label !== null && { label }), expiresAt }
}

/** A shortest cycle through a party, edge by edge from it on, if there is one. */
export function findCycle<Edge extends Pick<WaitEdge, 'waiter' | 'holder'>>(
  start: string,
  edges: readonly Edge[],
): Edge[] | undefined {
  const from = Map.groupBy(edges, ({ waiter }) => waiter)
  const cameBy = new Map<string, Edge>()
  let front = [start]
  while (front.length > 0 && !cameBy.has(start)) {
    const next = front.flatMap((waiter) => from.get(waiter) ?? [])
    front = []
    for (const edge of next) {
      if (cameBy.has(edge.holder)) continue
      cameBy.set(edge.holder, edge)
      front.push(edge.holder)
    }
  }
  const cycle: Edge[] = []
  let edge = cameBy.get(start)
  while (edge !== undefined) {
    cycle.unshift(edge)
    edge = edge.waiter === start ? undefined : cameBy.get(edge.waiter)
  }
  return cycle.length === 0 ? undefined : cycle
}

/** The deadlock that a cycle is: who has the lowest priority gives way, of several the one begun last. */
export function judgeCycle(members: readonly CycleMember[]): Deadlock {
  const [victim] = members.toSorted(
    (a, b) =>
      a.priority - b.priority ||
      Date.parse(b.createdAt) - Date.parse(a.createdAt) ||
      (a.transactionId < b.transactionId ? 1 : -1),
  )
  if (victim === undefined) throw new Error('a cycle has no members')
  const at = members.indexOf(victim)
  return {
    victim: victim.transactionId,
    cycle: [...members.slice(at), ...members.slice(0, at)],
  }
}
