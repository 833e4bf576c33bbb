export type Element = number | string

/** Each element is appended to a list at most once in a history, so that a list tells who wrote it in what order. */
export type ListOperation =
  | { kind: 'append'; key: string; element: Element }
  /** Undefined stands for a list that was never told. */
  | { kind: 'read'; key: string; list: readonly Element[] | undefined }

export interface ListTransaction {
  client: number | string
  call: number
  /** Infinity when nobody knows the outcome. */
  return: number
  outcome: 'committed' | 'aborted' | 'unknown'
  /** In the order in which they were asked for, one after the other. */
  operations: readonly ListOperation[]
}

export interface Anomaly {
  kind: string
  words: string
}

/** Who appended an element, and whether the same transaction appended another to that list later. */
export interface Append {
  writer: number
  isLast: boolean
}

/** What a transaction that committed was told of a list. */
export interface Read {
  reader: number
  /** Its place among the operations of the transaction. */
  place: number
  key: string
  list: readonly Element[]
  /** The list without what the transaction had appended itself; undefined when that is not where it belongs. */
  external: readonly Element[] | undefined
}

/** The longest list that was read under a key, which tells the order of its versions. */
export interface VersionOrder {
  list: readonly Element[]
  isPrefix(list: readonly Element[]): boolean
}

/** What is known of a history before any cycle is looked for. */
export interface ListHistory {
  transactions: readonly ListTransaction[]
  /** By key, then by element. */
  appends: ReadonlyMap<string, ReadonlyMap<Element, Append>>
  orders: ReadonlyMap<string, VersionOrder>
  /** The reads of transactions that committed. */
  reads: readonly Read[]
  /** Of those without known outcome, the ones that somebody has seen. */
  hasCommitted(transaction: number): boolean
}

export const nameOf = (transaction: number) => `T${transaction}`

/** A list with its last elements only, when it is long. */
export function showList(list: readonly Element[]): string {
  return list.length > 6 ? `[…, ${list.slice(-5).join(', ')}]` : `[${list.join(', ')}]`
}

/** Takes the lists at the end, where they are known, for the last reads. */
export function understand(
  transactions: readonly ListTransaction[],
  end: ReadonlyMap<string, readonly Element[]>,
): { history: ListHistory; anomalies: Anomaly[] } {
  const { appends, anomalies } = indexAppends(transactions)
  const reads = transactions.flatMap(({ outcome, operations }, reader): Read[] => {
    if (outcome !== 'committed') return []
    return operations.flatMap((operation, place) => {
      if (operation.kind !== 'read' || operation.list === undefined) return []
      const external = externalPart(operation, operations, place)
      return { reader, place, key: operation.key, list: operation.list, external }
    })
  })
  const orders = versionOrders(reads, end)
  const seen = new Set(
    [...orders].flatMap(([key, { list }]) =>
      list.map((element) => appends.get(key)?.get(element)?.writer),
    ),
  )
  const hasCommitted = (index: number) => {
    const outcome = transactions[index]?.outcome
    return outcome === 'committed' || (outcome === 'unknown' && seen.has(index))
  }
  return { history: { transactions, appends, orders, reads, hasCommitted }, anomalies }
}

function indexAppends(transactions: readonly ListTransaction[]) {
  const appends = new Map<string, Map<Element, Append>>()
  const anomalies: Anomaly[] = []
  for (const [writer, { operations }] of transactions.entries()) {
    const last = new Map<string, Append>()
    for (const operation of operations) {
      if (operation.kind !== 'append') continue
      const { key, element } = operation
      const own = appends.get(key) ?? new Map<Element, Append>()
      appends.set(key, own)
      const other = own.get(element)
      if (other !== undefined) {
        const words = `${nameOf(other.writer)} and ${nameOf(writer)} append ${element} to ${key}`
        anomalies.push({ kind: 'duplicate append', words })
      }
      const before = last.get(key)
      if (before !== undefined) before.isLast = false
      const append = { writer, isLast: true }
      last.set(key, append)
      own.set(element, append)
    }
  }
  return { appends, anomalies }
}

/** A transaction sees what it has appended so far at the end, in order, and nothing of it before. */
function externalPart(
  read: ListOperation & { kind: 'read' },
  operations: readonly ListOperation[],
  place: number,
): readonly Element[] | undefined {
  const list = read.list ?? []
  const appendsIn = (some: readonly ListOperation[]) =>
    some.flatMap((one) => (one.kind === 'append' && one.key === read.key ? one.element : []))
  const before = appendsIn(operations.slice(0, place))
  const external = list.slice(0, Math.max(0, list.length - before.length))
  const own = new Set(appendsIn(operations))
  const isWhole = before.every((element, index) => list[external.length + index] === element)
  return isWhole && !external.some((element) => own.has(element)) ? external : undefined
}

function versionOrders(
  reads: readonly Read[],
  end: ReadonlyMap<string, readonly Element[]>,
): ReadonlyMap<string, VersionOrder> {
  const longest = new Map(end)
  for (const { key, list } of reads) {
    if (list.length > (longest.get(key)?.length ?? -1)) longest.set(key, list)
  }
  return new Map([...longest].map(([key, list]) => [key, orderOf(list)]))
}

function orderOf(list: readonly Element[]): VersionOrder {
  return {
    list,
    isPrefix: (other) => other.every((element, index) => list[index] === element),
  }
}
