/** Nodes numbered from 0 on, and where edges lead from each. */
export interface Nodes {
  size: number
  from(node: number): Iterable<number>
}

/**
 * Numbers the strongly connected components of a graph, and answers the number of each node. Edges lead to the same
 * number or a lower one. By Tarjan's way without recursion, so that it does not matter how deep the graph is.
 */
export function componentsOf(nodes: Nodes): Int32Array {
  const walk = new ComponentWalk(nodes)
  for (let node = 0; node < nodes.size; node += 1) walk.start(node)
  return walk.numbers
}

class ComponentWalk {
  readonly numbers: Int32Array
  readonly #nodes: Nodes
  /** When a node was entered, from 1 on. */
  readonly #entered: Int32Array
  /** The first entered of those open that the node is known to lead to. */
  readonly #low: Int32Array
  readonly #open: number[] = []
  #entries = 0
  #components = 0

  constructor(nodes: Nodes) {
    this.#nodes = nodes
    this.numbers = new Int32Array(nodes.size).fill(-1)
    this.#entered = new Int32Array(nodes.size)
    this.#low = new Int32Array(nodes.size)
  }

  start(node: number): void {
    if (this.#entered[node] !== 0) return
    const path = [this.#enter(node)]
    for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
      const { value: next, done } = last.edges.next()
      if (done) {
        path.pop()
        this.#leave(last.node, path.at(-1)?.node)
      } else if (this.#entered[next] === 0) path.push(this.#enter(next))
      else if (this.numbers[next] === -1) this.#lower(last.node, this.#entered[next])
    }
  }

  #enter(node: number) {
    this.#entries += 1
    this.#entered[node] = this.#entries
    this.#low[node] = this.#entries
    this.#open.push(node)
    return { node, edges: this.#nodes.from(node)[Symbol.iterator]() }
  }

  #leave(node: number, parent: number | undefined): void {
    if (parent !== undefined) this.#lower(parent, this.#low[node])
    if (this.#low[node] !== this.#entered[node]) return
    for (const member of this.#open.splice(this.#open.lastIndexOf(node))) {
      this.numbers[member] = this.#components
    }
    this.#components += 1
  }

  #lower(node: number, to = 0): void {
    this.#low[node] = Math.min(this.#low[node] ?? 0, to)
  }
}
