import { componentsOf } from './components.ts'

/**
 * Why one transaction comes before another: it appended before (ww), it appended what the other read (wr), it read
 * what was there before the other appended (rw), or it had returned when the other was called (rt).
 */
export type EdgeKind = 'ww' | 'wr' | 'rw' | 'rt'

export interface Edge {
  from: number
  to: number
  kind: EdgeKind
  /** Why, in words. */
  words: string
}

/** Edges between numbered nodes, one of each kind between two. */
export class Graph {
  readonly size: number
  readonly #out = new Map<number, Edge[]>()
  readonly #seen = new Set<string>()

  constructor(size: number) {
    this.size = size
  }

  /** An edge from a node to itself says nothing, and is left out. */
  add(edge: Edge): void {
    const { from, to, kind } = edge
    const name = `${from},${to},${kind}`
    if (from === to || this.#seen.has(name)) return
    this.#seen.add(name)
    const edges = this.#out.get(from)
    if (edges === undefined) this.#out.set(from, [edge])
    else edges.push(edge)
  }

  from(node: number): readonly Edge[] {
    return this.#out.get(node) ?? []
  }
}

/** Some edges of a graph, by their kinds. */
export interface Part {
  graph: Graph
  kinds: readonly EdgeKind[]
}

/** Sets of nodes each of which leads to each, but for those of one node alone. */
export function knotsOf({ graph, kinds }: Part): ReadonlySet<number>[] {
  const numbers = componentsOf({
    size: graph.size,
    from: (node) => graph.from(node).flatMap(({ to, kind }) => (kinds.includes(kind) ? to : [])),
  })
  const groups = Map.groupBy(numbers.keys(), (node) => numbers[node])
  return [...groups.values()].filter(({ length }) => length > 1).map((group) => new Set(group))
}

/** What kind of cycle is looked for, as an automaton that reads the kinds of its edges. */
export interface CycleShape {
  /** The kind of the first edge, after which the phase is 0. */
  starts: EdgeKind
  /** The phase after one more edge; undefined when a cycle may not go on with it. Phases are below 4. */
  next(phase: number, kind: EdgeKind): number | undefined
  /** Whether a cycle may close in that phase. */
  accepts(phase: number): boolean
}

const phases = [0, 1, 2, 3]

/** After so many edges the shortest cycle found so far has to do. */
const maxEdges = 20_000_000

/**
 * The shortest cycle of a shape inside one knot of a part; it may pass a node again. Throws when none was found and
 * not all has been looked at.
 */
export function shortestCycle(
  part: Part,
  knot: ReadonlySet<number>,
  shape: CycleShape,
): Edge[] | undefined {
  const search = new CycleSearch(part, knot, shape)
  for (const node of knot) {
    for (const edge of part.graph.from(node)) {
      if (edge.kind === shape.starts && knot.has(edge.to)) search.closeFrom(edge)
    }
  }
  if (search.best === undefined && search.isCutShort) {
    throw new Error(`no verdict on a knot of ${knot.size} within ${maxEdges} edges`)
  }
  return search.best
}

interface Reached {
  state: number
  length: number
  edge: Edge
  before: Reached | undefined
}

/** A state is a node of the knot together with a phase. */
class CycleSearch {
  best: Edge[] | undefined
  readonly #part: Part
  readonly #nodes: readonly number[]
  readonly #places: ReadonlyMap<number, number>
  readonly #shape: CycleShape
  /** No state leads to one with a higher number. */
  readonly #numbers: Int32Array
  #edges = 0

  constructor(part: Part, knot: ReadonlySet<number>, shape: CycleShape) {
    this.#part = part
    this.#shape = shape
    this.#nodes = [...knot]
    this.#places = new Map(this.#nodes.map((node, place) => [node, place]))
    this.#numbers = componentsOf({
      size: this.#nodes.length * phases.length,
      from: (state) => this.#steps(state).map((step) => step.state),
    })
  }

  get isCutShort(): boolean {
    return this.#edges > maxEdges
  }

  /** Goes breadth first from the end of an edge back to its start, for a shorter cycle than the best. */
  closeFrom(first: Edge): void {
    const start = this.#stateOf(first.to, 0) ?? 0
    const ends = phases
      .filter((phase) => this.#shape.accepts(phase))
      .map((phase) => this.#stateOf(first.from, phase) ?? 0)
    const lowest = Math.min(...ends.map((end) => this.#numbers[end] ?? 0))
    const seen = new Set([start])
    const queue: Reached[] = [{ state: start, length: 1, edge: first, before: undefined }]
    for (const before of queue) {
      const length = before.length + 1
      if (length >= (this.best?.length ?? Infinity) || this.isCutShort) return
      if ((this.#numbers[before.state] ?? 0) < lowest) continue
      for (const { state, edge } of this.#steps(before.state)) {
        this.#edges += 1
        if (seen.has(state)) continue
        seen.add(state)
        const reached = { state, length, edge, before }
        if (ends.includes(state)) {
          this.best = edgesTo(reached)
          return
        }
        queue.push(reached)
      }
    }
  }

  #steps(state: number) {
    const node = this.#nodes[Math.floor(state / phases.length)] ?? 0
    return this.#part.graph.from(node).flatMap((edge) => {
      const isPart = this.#part.kinds.includes(edge.kind)
      const phase = isPart ? this.#shape.next(state % phases.length, edge.kind) : undefined
      const next = phase === undefined ? undefined : this.#stateOf(edge.to, phase)
      return next === undefined ? [] : [{ state: next, edge }]
    })
  }

  #stateOf(node: number, phase: number): number | undefined {
    const place = this.#places.get(node)
    return place === undefined ? undefined : place * phases.length + phase
  }
}

function edgesTo(end: Reached): Edge[] {
  const edges: Edge[] = []
  for (let at: Reached | undefined = end; at !== undefined; at = at.before) edges.push(at.edge)
  return edges.reverse()
}
