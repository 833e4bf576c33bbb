import { type Anomaly, type Element, type ListHistory, nameOf, showList } from './list-append.ts'

/** What single reads show, and lists at the end: no order of transactions needs to be known for it. */
export function checkLists(
  history: ListHistory,
  end: ReadonlyMap<string, readonly Element[]>,
): Anomaly[] {
  const lists = [
    ...history.reads.map((read) => ({
      ...read,
      name: `the read of ${read.key} by ${nameOf(read.reader)}`,
    })),
    ...[...end].map(([key, list]) => ({ key, list, name: `the end of ${key}`, external: list })),
  ]
  return [
    ...lists.flatMap((one) => [
      ...checkElements(history, one),
      ...checkLastElement(history, one),
      ...checkPlace(history, one),
    ]),
    ...[...end].flatMap(([key, list]) => checkLoss(history, key, list)),
  ]
}

interface NamedList {
  name: string
  key: string
  list: readonly Element[]
  external: readonly Element[] | undefined
  reader?: number
}

function checkElements({ appends, transactions }: ListHistory, { name, key, list }: NamedList) {
  const anomalies: Anomaly[] = []
  const seen = new Set<Element>()
  for (const element of list) {
    if (seen.has(element)) {
      anomalies.push({ kind: 'duplicate element', words: `${name} holds ${element} twice` })
    }
    seen.add(element)
    const writer = appends.get(key)?.get(element)?.writer
    if (writer === undefined) {
      const words = `${name} holds ${element}, which nobody appended`
      anomalies.push({ kind: 'garbage read', words })
    } else if (transactions[writer]?.outcome === 'aborted') {
      const words = `${name} holds ${element} of ${nameOf(writer)}, which was aborted`
      anomalies.push({ kind: 'G1a', words })
    }
  }
  return anomalies
}

/** What a list ends with is the last that its writer appended to it. */
function checkLastElement({ appends }: ListHistory, { name, key, external }: NamedList): Anomaly[] {
  const element = external?.at(-1)
  const append = element === undefined ? undefined : appends.get(key)?.get(element)
  if (append === undefined || append.isLast) return []
  const words = `${name} ends with ${element}, and ${nameOf(append.writer)} appended more to it`
  return [{ kind: 'G1b', words }]
}

/** Lists under a key are longer and shorter parts of the same one, with what is one's own at the end. */
function checkPlace({ orders }: ListHistory, { name, key, list, external }: NamedList): Anomaly[] {
  const anomalies: Anomaly[] = []
  if (external === undefined) {
    const words = `${name} is ${showList(list)}, and does not end with what it had appended`
    anomalies.push({ kind: 'internal', words })
  }
  const order = orders.get(key)
  if (order !== undefined && !order.isPrefix(list)) {
    const words = `${name} is ${showList(list)}, and another ${showList(order.list)}`
    anomalies.push({ kind: 'incompatible orders', words })
  }
  return anomalies
}

function checkLoss(history: ListHistory, key: string, list: readonly Element[]): Anomaly[] {
  const there = new Set(list)
  return [...(history.appends.get(key) ?? [])]
    .filter(([element, { writer }]) => history.hasCommitted(writer) && !there.has(element))
    .map(([element, { writer }]) => {
      const words = `the end of ${key} lacks ${element} of ${nameOf(writer)}, which was committed`
      return { kind: 'lost element', words }
    })
}

/** Transactions that read the same version of a list and then all appended to it. */
export function checkUpdates({ transactions, orders, reads }: ListHistory): Anomaly[] {
  const updates = reads.filter(({ reader, place, key, list, external }) => {
    const operations = transactions[reader]?.operations ?? []
    const isBase = external?.length === list.length && orders.get(key)?.isPrefix(list)
    return isBase && operations.slice(place).some((one) => one.kind === 'append' && one.key === key)
  })
  const groups = Map.groupBy(updates, ({ key, list }) => JSON.stringify([key, list.length]))
  return [...groups.values()].flatMap((group) => {
    const names = [...new Set(group.map(({ reader }) => nameOf(reader)))]
    const [first] = group
    if (first === undefined || names.length < 2) return []
    const words = `${names.join(' and ')} read ${first.key} as ${showList(first.list)}, and each appended to it`
    return [{ kind: 'lost update', words }]
  })
}
