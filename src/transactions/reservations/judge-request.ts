import type { Tx } from '../../database/connect.ts'
import { Problem } from '../../problems.ts'
import { tableNotFound } from '../../tables/get-table.ts'
import { lockHeads } from '../../tables/queries.ts'
import { invalidTransaction } from '../rules.ts'
import type { LockedTransaction } from '../staged/queries.ts'
import { lockActive } from '../staged/use-transaction.ts'
import {
  deleteReservations,
  findVerdict,
  hasOlder,
  insertReservations,
  insertWait,
  listCycleEdges,
  listHolders,
  listMembers,
  listOlder,
  listReserved,
  lockGraph,
  type ReservedTable,
  updateVictim,
  type Wait,
} from './queries.ts'
import {
  type Blocker,
  type Deadlock,
  deadlocked,
  findCycle,
  judgeCycle,
  type Member,
  memberFacts,
} from './rules.ts'

/** A request for tables, and how it is tried. */
export interface Asking extends Wait {
  /** Whether it is noted as waiting where it does not get them. */
  mayWait: boolean
  /** For how long its server is then taken to live. */
  aliveMs: number
  /** Tables that one transaction may reserve. */
  tablesMax: number
}

/** All that a transaction has reserved. */
export interface Reserved {
  transaction: LockedTransaction
  tables: ReservedTable[]
}

/** What a try came to. Deadlocks are those that it ended. */
export type Tried = { deadlocks: readonly Deadlock[] } & (
  | { kind: 'reserved'; reserved: Reserved }
  | { kind: 'refused'; problem: Problem }
  | { kind: 'blocked'; blockers: readonly Blocker[] }
)

/**
 * Reserves all tables of a request, or none. Heads are locked before the graph and the transaction, so that nobody who
 * commits waits for one who waits for him. Throws a `Problem`, with nothing written.
 */
export async function tryToReserve(tx: Tx, asking: Asking): Promise<Tried> {
  const { transactionId, tableIds } = asking
  await lockTables(tx, tableIds)
  await lockGraph(tx)
  const transaction = await lockActive(tx, transactionId)
  const verdict = await findVerdict(tx, asking.requestId)
  if (verdict !== undefined) {
    const cycle: Member[] = JSON.parse(verdict)
    const problem = deadlocked({ victim: transactionId, cycle })
    return { kind: 'refused', problem, deadlocks: [] }
  }
  await refuseTooMany(tx, asking)
  const isFree = (await listHolders(tx, asking)).length === 0 && !(await hasOlder(tx, asking))
  if (isFree) return reserve(tx, transaction, asking)
  await insertWait(tx, asking, asking.aliveMs)
  const blockers = await listBlockers(tx, asking)
  if (blockers.length === 0) return reserve(tx, transaction, asking)
  if (!asking.mayWait) return { kind: 'blocked', blockers, deadlocks: [] }
  const deadlocks = await endDeadlocks(tx, transactionId)
  const lost = deadlocks.find(({ victim }) => victim === transactionId)
  if (lost !== undefined) return { kind: 'refused', problem: deadlocked(told(lost)), deadlocks }
  const left = deadlocks.length > 0 ? await listBlockers(tx, asking) : blockers
  if (left.length > 0) return { kind: 'blocked', blockers: left, deadlocks }
  const tried = await reserve(tx, transaction, asking)
  return { ...tried, deadlocks: [...deadlocks, ...tried.deadlocks] }
}

function told({ victim, cycle }: Deadlock): { victim: string; cycle: Member[] } {
  return { victim, cycle: cycle.map(memberFacts) }
}

/** Who has the tables; if nobody has, who goes first. */
async function listBlockers(tx: Tx, asking: Asking): Promise<Blocker[]> {
  const holders = await listHolders(tx, asking)
  return holders.length > 0 ? holders : listOlder(tx, asking)
}

async function lockTables(tx: Tx, tableIds: readonly string[]): Promise<void> {
  const { heads } = await lockHeads(tx, tableIds)
  const found = new Map(heads.map((head) => [head.id, head]))
  for (const id of tableIds) {
    const head = found.get(id)
    if (head === undefined) throw await tableNotFound(tx, id)
    if (head.droppedAt === null) continue
    const detail = `The table ${head.name} was dropped at ${head.droppedAt}; it cannot be reserved.`
    throw new Problem('table-dropped', detail, {
      facts: { tableId: id, droppedAt: head.droppedAt },
    })
  }
}

async function refuseTooMany(
  tx: Tx,
  { transactionId, tableIds, tablesMax: max }: Asking,
): Promise<void> {
  const held = await listReserved(tx, transactionId)
  const count = new Set([...held.map(({ tableId }) => tableId), ...tableIds]).size
  if (count > max) throw invalidTransaction([{ type: 'TooManyTables', count, max }])
}

/** Whoever waits for these tables waits for this transaction now, which may wait itself by another request. */
async function reserve(
  tx: Tx,
  transaction: LockedTransaction,
  { tableIds }: Asking,
): Promise<Tried> {
  await insertReservations(tx, transaction.id, tableIds)
  const deadlocks = await endDeadlocks(tx, transaction.id)
  const lost = deadlocks.find(({ victim }) => victim === transaction.id)
  if (lost !== undefined) return { kind: 'refused', problem: deadlocked(told(lost)), deadlocks }
  const tables = await listReserved(tx, transaction.id)
  return { kind: 'reserved', reserved: { transaction, tables }, deadlocks }
}

/** Ends each circle in which a transaction waits for itself: one gives way, until there is none. */
async function endDeadlocks(tx: Tx, transactionId: string): Promise<Deadlock[]> {
  const ended: Deadlock[] = []
  for (;;) {
    const cycle = findCycle(transactionId, await listCycleEdges(tx, transactionId))
    if (cycle === undefined) return ended
    const deadlock = judgeCycle(await listMembers(tx, cycle))
    await deleteReservations(tx, [deadlock.victim])
    await updateVictim(tx, deadlock.victim, JSON.stringify(told(deadlock).cycle))
    ended.push(deadlock)
  }
}
