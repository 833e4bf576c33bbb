/** A version of a transaction that is not published yet. */
export interface WaitingPart {
  transactionId: string
  tableId: string
  version: number
  /** Whether the other tables of the transaction wait for it: nothing keeps its table from being published. */
  isAwaited: boolean
}

/** The versions of a table that a round could publish: those behind `publishedVersion` up to `to`. */
export interface Span {
  tableId: string
  publishedVersion: number
  to: number
}

/** A version that is part of a transaction. */
export interface SharedVersion {
  transactionId: string
  /** The other tables of the transaction that are waited for. */
  others: readonly string[]
  /** Whether there are others still, which are not waited for. */
  isAhead: boolean
}

/** What the order of commits allows of a span. */
export interface Course {
  /** The newest version that may be published; `publishedVersion` when none may. */
  to: number
  /** The versions in the span that are parts of transactions, those too that may not be published yet. */
  shared: ReadonlyMap<number, SharedVersion>
}

/**
 * Decides how far each table of a round may go, so that transactions over several tables appear in the order of commits:
 * the versions of one appear together, once each is the next of its table, and before all that follows on any of them.
 * A table that is not waited for goes behind those that are. `parts` are all that waits of the transactions that have a
 * version in a span. Pure.
 */
export function planOrder(
  spans: readonly Span[],
  parts: readonly WaitingPart[],
): Map<string, Course> {
  const byTransaction = Map.groupBy(parts, ({ transactionId }) => transactionId)
  const byTable = Map.groupBy(parts, ({ tableId }) => tableId)
  const ways = new Map(spans.map((span) => [span.tableId, wayOf(span, byTable)]))
  const shared = new Map(
    spans.map(({ tableId }) => [tableId, sharedOf(ways.get(tableId) ?? [], byTransaction)]),
  )
  follow(ways, byTransaction)
  return new Map(
    spans.map(({ tableId, to }) => {
      const barrier = ways.get(tableId)?.[0]
      const reached = barrier === undefined ? to : barrier.version - 1
      return [tableId, { to: reached, shared: shared.get(tableId) ?? new Map() }]
    }),
  )
}

/** The parts of transactions that a table comes to in its span, in order. */
function wayOf(
  { tableId, publishedVersion, to }: Span,
  byTable: ReadonlyMap<string, readonly WaitingPart[]>,
): WaitingPart[] {
  const parts = byTable.get(tableId) ?? []
  return parts
    .filter(({ version }) => version > publishedVersion && version <= to)
    .sort((a, b) => a.version - b.version)
}

function sharedOf(
  way: readonly WaitingPart[],
  byTransaction: ReadonlyMap<string, readonly WaitingPart[]>,
): Map<number, SharedVersion> {
  return new Map(
    way.map(({ transactionId, tableId, version }) => {
      const others = (byTransaction.get(transactionId) ?? []).filter(
        (other) => other.tableId !== tableId,
      )
      const awaited = others.filter(({ isAwaited }) => isAwaited).map((other) => other.tableId)
      const isAhead = awaited.length < others.length
      return [version, { transactionId, others: awaited, isAhead }]
    }),
  )
}

/** Takes from the beginning of each way what can be passed. */
function follow(
  ways: ReadonlyMap<string, WaitingPart[]>,
  byTransaction: ReadonlyMap<string, readonly WaitingPart[]>,
): void {
  const isNext = (part: WaitingPart) => ways.get(part.tableId)?.[0] === part
  const open = [...ways.keys()]
  for (let tableId = open.pop(); tableId !== undefined; tableId = open.pop()) {
    const part = ways.get(tableId)?.[0]
    if (part === undefined) continue
    const awaited = (byTransaction.get(part.transactionId) ?? []).filter((one) => one.isAwaited)
    const together = awaited.length === 0 ? [part] : awaited
    if (!together.includes(part) || !together.every(isNext)) continue
    for (const one of together) {
      ways.get(one.tableId)?.shift()
      open.push(one.tableId)
    }
  }
}
