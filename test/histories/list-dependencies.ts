import { type Edge, Graph } from './cycles.ts'
import {
  type Append,
  type Element,
  type ListHistory,
  nameOf,
  type Read,
  showList,
} from './list-append.ts'

/** Who comes before whom, as far as lists and, where asked for, times tell. */
export function dependencies(history: ListHistory, withTimes: boolean): Graph {
  const graph = new Graph(history.transactions.length)
  for (const key of history.appends.keys()) addWrites(graph, history, key)
  for (const read of history.reads) addRead(graph, history, read)
  if (withTimes) addTimes(graph, history)
  return graph
}

interface Version extends Append {
  element: Element
}

/** The elements of a list from a place on whose writers committed. */
function* versionsFrom(history: ListHistory, key: string, place: number): Generator<Version> {
  const list = history.orders.get(key)?.list ?? []
  for (let index = place; index < list.length; index += 1) {
    const element = list[index] ?? ''
    const append = history.appends.get(key)?.get(element)
    if (append !== undefined && history.hasCommitted(append.writer)) yield { element, ...append }
  }
}

/** What was committed and read by nobody comes after all that was read. */
function unseenOf(history: ListHistory, key: string): Version[] {
  const seen = new Set(history.orders.get(key)?.list)
  return [...(history.appends.get(key) ?? [])]
    .filter(([element, { writer }]) => !seen.has(element) && history.hasCommitted(writer))
    .map(([element, append]) => ({ element, ...append }))
}

function addWrites(graph: Graph, history: ListHistory, key: string): void {
  const versions = [...versionsFrom(history, key, 0)]
  const pairs = versions.slice(1).map((after, index) => [versions[index], after] as const)
  const last = versions.at(-1)
  for (const [before, after] of [
    ...pairs,
    ...unseenOf(history, key).map((after) => [last, after] as const),
  ]) {
    if (before === undefined) continue
    const [from, to] = [before.writer, after.writer]
    const words = `${nameOf(from)} appended ${before.element} to ${key} before ${nameOf(to)} appended ${after.element}`
    graph.add({ from, to, kind: 'ww', words })
  }
}

function addRead(graph: Graph, history: ListHistory, { reader, key, list, external }: Read): void {
  if (external === undefined || history.orders.get(key)?.isPrefix(list) !== true) return
  const [last] = versionsFrom(history, key, Math.max(0, external.length - 1))
  if (last !== undefined && last.element === external.at(-1)) {
    const words = `${nameOf(reader)} read in ${key} the ${last.element} of ${nameOf(last.writer)}`
    graph.add({ from: last.writer, to: reader, kind: 'wr', words })
  }
  const [next] = versionsFrom(history, key, external.length)
  for (const { element, writer } of next === undefined ? unseenOf(history, key) : [next]) {
    const words = `${nameOf(reader)} read ${key} as ${showList(external)}, before ${nameOf(writer)} appended ${element}`
    graph.add({ from: reader, to: writer, kind: 'rw', words })
  }
}

/** From each transaction to those called after its return, but for those that come after one of these. */
function addTimes(graph: Graph, history: ListHistory): void {
  const known = history.transactions
    .map(({ call, return: end }, index) => ({ call, end, index }))
    .filter(({ index }) => history.hasCommitted(index))
    .sort((one, other) => one.call - other.call)
  for (const { end, index: from } of known) {
    let firstEnd = Infinity
    for (let place = firstAfter(known, end); place < known.length; place += 1) {
      const { call, end: otherEnd, index: to } = known[place] ?? { call: 0, end: 0, index: 0 }
      if (call > firstEnd) break
      firstEnd = Math.min(firstEnd, otherEnd)
      graph.add(timeEdge(from, to))
    }
  }
}

/** From one that had returned to one that was called after that. */
export function timeEdge(from: number, to: number): Edge {
  const words = `${nameOf(from)} had returned before ${nameOf(to)} was called`
  return { from, to, kind: 'rt', words }
}

/** The place of the first that is called after a moment. */
function firstAfter(known: readonly { call: number }[], moment: number): number {
  let [low, high] = [0, known.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((known[middle]?.call ?? 0) > moment) high = middle
    else low = middle + 1
  }
  return low
}
