/** What the nodes of a predicate have in common when they are read. */
import { type Fault, faultsMax } from '../faults.ts'
import { listed } from '../text.ts'
import type { FindColumn, PredicateColumn } from './columns.ts'
import { type PredicateOp, predicateDepthMax, predicateNodesMax, predicateOps } from './shape.ts'

/** What reading a predicate gathers. */
export interface PredicateReader {
  findColumn: FindColumn
  faults: Fault[]
  columns: Set<PredicateColumn>
  nodeCount: number
}

/** Where a node stands. */
export interface Place {
  pointer: string
  depth: number
  /** Whether the node stands under an odd number of `not`. */
  isNegated: boolean
}

type Members = Readonly<Record<string, unknown>>

/** A node whose operation is known. */
export interface Node {
  op: PredicateOp
  members: Members
  place: Place
}

const membersOf: Readonly<Record<string, readonly string[]>> = {
  column: ['op', 'name', 'valueType'],
  literal: ['op', 'value', 'valueType'],
}
const membersOfOthers = ['op', 'children']

/** Tells a fault, unless there are enough. */
export function report(reader: PredicateReader, pointer: string, message: string): void {
  if (reader.faults.length < faultsMax) reader.faults.push({ pointer, message })
}

function isOp(op: unknown): op is PredicateOp {
  return predicateOps.some((known) => known === op)
}

function isWithinLimits(reader: PredicateReader, { pointer, depth }: Place): boolean {
  reader.nodeCount++
  if (reader.nodeCount > predicateNodesMax) {
    const isFirst = reader.nodeCount === predicateNodesMax + 1
    if (isFirst) report(reader, '', `has more than ${predicateNodesMax} nodes`)
    return false
  }
  if (depth <= predicateDepthMax) return true
  report(reader, pointer, `nests deeper than ${predicateDepthMax} nodes`)
  return false
}

/** Reads what all nodes have in common; undefined when there is no telling what the node is. */
export function openNode(reader: PredicateReader, value: unknown, place: Place): Node | undefined {
  if (!isWithinLimits(reader, place)) return undefined
  const { pointer } = place
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    report(reader, pointer, 'must be an object with an op')
    return undefined
  }
  const members = value as Members
  const { op } = members
  if (!isOp(op)) {
    report(reader, `${pointer}/op`, `must be one of ${predicateOps.join(', ')}`)
    return undefined
  }
  const known = membersOf[op] ?? membersOfOthers
  const unknown = Object.keys(members).filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    report(reader, pointer, `${op} takes no ${listed(unknown)}; it takes ${listed(known)}`)
  }
  return { op, members, place }
}

/** The children of a node when there are as many as it takes; else none, and a fault. */
export function childrenOf(
  reader: PredicateReader,
  { op, members, place }: Node,
  count: { least: number; most?: number; of: string },
): unknown[] {
  const { children } = members
  const given = Array.isArray(children) ? children.length : 0
  if (Array.isArray(children) && given >= count.least && given <= (count.most ?? Infinity)) {
    return children
  }
  const least = count.most === undefined ? `at least ${count.least}` : count.least
  const message = `${op} takes ${least} of ${count.of}, found ${given}`
  report(reader, `${place.pointer}/children`, message)
  return []
}

/** The place of a child. */
export function childPlace({ pointer, depth, isNegated }: Place, index: number): Place {
  return { pointer: `${pointer}/children/${index}`, depth: depth + 1, isNegated }
}
