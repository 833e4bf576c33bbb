/** A request that waits, of a transaction; who was begun first has the lower number. */
export interface Waiting {
  number: number
  tables: readonly number[]
}

/** Who has which table, and who waits for which. */
export interface ReservationState {
  /** From tables to transactions. */
  holders: ReadonlyMap<number, number>
  waiting: readonly Waiting[]
}

/** The requests that should have their tables already. */
export function overdue(state: ReservationState): Waiting[] {
  return state.waiting.filter(
    (one) =>
      holdersFor(state, one).length === 0 &&
      // An older one that waits for it itself does not stand before it.
      olderFor(state, one).every((older) =>
        reachable(state, older, [holdersFor, olderFor]).has(one.number),
      ),
  )
}

/** The transactions that are in a circle of those who have what the one before waits for. */
export function deadlocked(state: ReservationState): number[] {
  return state.waiting.flatMap(({ number }) =>
    reachable(state, number, [holdersFor]).has(number) ? number : [],
  )
}

type Edges = (state: ReservationState, one: Waiting) => number[]

const holdersFor: Edges = ({ holders }, { number, tables }) =>
  tables.flatMap((table) => holders.get(table) ?? []).filter((holder) => holder !== number)

const olderFor: Edges = ({ waiting }, { number, tables }) =>
  waiting
    .filter(
      (other) => other.number < number && other.tables.some((table) => tables.includes(table)),
    )
    .map((other) => other.number)

function reachable(state: ReservationState, from: number, edges: readonly Edges[]): Set<number> {
  const reached = new Set<number>()
  const visit = (number: number) => {
    const own = state.waiting.filter((one) => one.number === number)
    for (const next of own.flatMap((one) => edges.flatMap((of) => of(state, one)))) {
      if (reached.has(next)) continue
      reached.add(next)
      visit(next)
    }
  }
  visit(from)
  return reached
}
