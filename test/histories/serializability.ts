import { type CycleShape, type Edge, knotsOf, type Part, shortestCycle } from './cycles.ts'
import { type Anomaly, type Element, type ListTransaction, understand } from './list-append.ts'
import { dependencies, timeEdge } from './list-dependencies.ts'
import { checkLists, checkUpdates } from './list-reads.ts'

/**
 * What a level of isolation forbids: read-committed G0 and G1; snapshot-isolation also G-single, lost updates and
 * cycles in which no two anti-dependencies follow one another; serializable every cycle. The strong and strict ones
 * hold transactions to the order of time, too.
 */
export type Level =
  | 'read-committed'
  | 'snapshot-isolation'
  | 'strong-snapshot-isolation'
  | 'serializable'
  | 'strict-serializable'

/** A cycle of the kinds that its shape takes; rt edges are between what does not count. */
const shapes = {
  G0: { starts: 'ww', next: (_, kind) => (kind === 'ww' || kind === 'rt' ? 0 : undefined) },
  G1c: { starts: 'wr', next: (_, kind) => (kind === 'rw' ? undefined : 0) },
  'G-single': { starts: 'rw', next: (_, kind) => (kind === 'rw' ? undefined : 0) },
  // Phase 0: one rw, which was just passed. 1: one rw before. 2: more, just passed. 3: more before.
  'G-nonadjacent': {
    starts: 'rw',
    next: (phase, kind) => (kind !== 'rw' ? phase | 1 : phase % 2 === 0 ? undefined : 2),
    accepts: (phase) => phase === 3,
  },
  // Phase 1: more than one rw.
  'G2-item': {
    starts: 'rw',
    next: (phase, kind) => (kind === 'rw' ? 1 : phase),
    accepts: (phase) => phase === 1,
  },
} satisfies Record<string, Omit<CycleShape, 'accepts'> & Partial<CycleShape>>

type CycleName = keyof typeof shapes

const snapshotCycles: CycleName[] = ['G0', 'G1c', 'G-single', 'G-nonadjacent']

const levels: Record<Level, { cycles: CycleName[]; withTimes: boolean; withUpdates: boolean }> = {
  'read-committed': { cycles: ['G0', 'G1c'], withTimes: false, withUpdates: false },
  'snapshot-isolation': { cycles: snapshotCycles, withTimes: false, withUpdates: true },
  'strong-snapshot-isolation': { cycles: snapshotCycles, withTimes: true, withUpdates: true },
  serializable: { cycles: [...snapshotCycles, 'G2-item'], withTimes: false, withUpdates: true },
  'strict-serializable': {
    cycles: [...snapshotCycles, 'G2-item'],
    withTimes: true,
    withUpdates: true,
  },
}

/**
 * Infers from lists that transactions appended to and read who came before whom, and answers what the level forbids,
 * in the names of Adya and of Elle: what single reads show, and of each knot of transactions its worst cycle, as
 * short as it is found. `end` has the lists as they are after all transactions, also the empty ones; a list that it
 * does not have is not known. Transactions are named by their places in the history: T0, T1, …. Pure.
 */
export function checkTransactions(
  transactions: readonly ListTransaction[],
  level: Level,
  end: ReadonlyMap<string, readonly Element[]> = new Map(),
): Anomaly[] {
  const { cycles, withTimes, withUpdates } = levels[level]
  const { history, anomalies } = understand(transactions, end)
  const graph = dependencies(history, withTimes)
  const untimed = explainKnots({ graph, kinds: ['ww', 'wr', 'rw'] }, cycles)
  const timed = explainKnots({ graph, kinds: ['ww', 'wr', 'rw', 'rt'] }, cycles, untimed)
  return [
    ...anomalies,
    ...checkLists(history, end),
    ...(withUpdates ? checkUpdates(history) : []),
    ...untimed.map(({ name, edges }) => ({ kind: name, words: wordsOf(edges) })),
    ...timed.map(({ name, edges }) => ({
      kind: `${name}-realtime`,
      words: wordsOf(takeShortcuts(edges, transactions)),
    })),
  ]
}

interface Explained {
  name: CycleName
  edges: Edge[]
}

/** The worst cycle of each knot, but for knots in which one is explained already. */
function explainKnots(
  part: Part,
  cycles: readonly CycleName[],
  known: readonly Explained[] = [],
): Explained[] {
  const explained = new Set(known.flatMap(({ edges }) => edges.map(({ from }) => from)))
  return knotsOf(part)
    .filter((knot) => ![...explained].some((node) => knot.has(node)))
    .flatMap((knot) => {
      for (const name of cycles) {
        const edges = shortestCycle(part, knot, { accepts: () => true, ...shapes[name] })
        if (edges !== undefined) return [{ name, edges }]
      }
      return []
    })
}

const wordsOf = (edges: readonly Edge[]) => edges.map(({ words }) => words).join('; ')

/** Goes past what lies between one that had returned and another that was called after that. */
function takeShortcuts(
  [first, ...rest]: readonly Edge[],
  transactions: readonly ListTransaction[],
): Edge[] {
  const edges = first === undefined ? [] : [first]
  for (let place = 0; place < rest.length; ) {
    const edge = rest[place]
    if (edge === undefined) break
    const { from } = edge
    const end = transactions[from]?.return ?? Infinity
    let last = place
    for (let next = place; next < rest.length && rest[next]?.kind !== 'rw'; next += 1) {
      if (end < (transactions[rest[next]?.to ?? 0]?.call ?? 0)) last = next
    }
    const to = rest[last]?.to ?? from
    edges.push(last === place ? edge : timeEdge(from, to))
    place = last + 1
  }
  return edges
}
