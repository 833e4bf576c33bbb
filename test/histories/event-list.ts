interface Interval {
  call: number
  return: number
}

/**
 * The calls and returns of operations in the order of time, as a list that one operation can be lifted out of and
 * put back into in constant time, the last lifted first. Events are numbers above 0; 0 stands for the end.
 *
 * Intervals are closed: what returns at the moment when another is called does not come before it. An operation
 * that returns at Infinity has no event of its return.
 */
export class EventList<Operation extends Interval> {
  /** In the order of their calls. */
  readonly operations: readonly Operation[]
  readonly #next: Int32Array
  readonly #previous: Int32Array
  /** For each event the index of its operation. */
  readonly #indexes: Int32Array
  /** For each call its return, or 0; for each return -1. */
  readonly #returns: Int32Array

  constructor(history: readonly Operation[]) {
    this.operations = [...history].sort((one, other) => one.call - other.call)
    const events = this.operations.flatMap((operation, index) => {
      if (!(operation.call <= operation.return)) throw new Error(`no interval: ${operation.call}`)
      const call = { index, at: operation.call, isCall: true }
      const end = { index, at: operation.return, isCall: false }
      return operation.return === Infinity ? [call] : [call, end]
    })
    events.sort((one, other) => one.at - other.at || Number(other.isCall) - Number(one.isCall))
    const size = events.length + 1
    this.#next = Int32Array.from({ length: size }, (_, event) => (event + 1) % size)
    this.#previous = Int32Array.from({ length: size }, (_, event) => (event + size - 1) % size)
    this.#indexes = new Int32Array(size)
    this.#returns = new Int32Array(size)
    const calls = new Int32Array(this.operations.length)
    for (const [place, { index, isCall }] of events.entries()) {
      this.#indexes[place + 1] = index
      if (isCall) calls[index] = place + 1
      else this.#returns[calls[index] ?? 0] = place + 1
      if (!isCall) this.#returns[place + 1] = -1
    }
    this.#returns[0] = -1
  }

  get first(): number {
    return this.after(0)
  }

  /** The first return that is left, or 0. */
  get firstReturn(): number {
    let event = this.first
    while (this.isCall(event)) event = this.after(event)
    return event
  }

  after(event: number): number {
    return this.#next[event] ?? 0
  }

  before(event: number): number {
    return this.#previous[event] ?? 0
  }

  isCall(event: number): boolean {
    return (this.#returns[event] ?? -1) >= 0
  }

  isAnswered(call: number): boolean {
    return (this.#returns[call] ?? 0) > 0
  }

  /** The place of its operation among all, by their calls. */
  indexOf(event: number): number {
    return this.#indexes[event] ?? 0
  }

  operationOf(event: number): Operation {
    const operation = this.operations[this.indexOf(event)]
    if (operation === undefined) throw new Error(`no event ${event}`)
    return operation
  }

  lift(call: number): void {
    this.#unlink(call)
    if (this.isAnswered(call)) this.#unlink(this.#returns[call] ?? 0)
  }

  putBack(call: number): void {
    if (this.isAnswered(call)) this.#link(this.#returns[call] ?? 0)
    this.#link(call)
  }

  #unlink(event: number): void {
    const previous = this.#previous[event] ?? 0
    const next = this.#next[event] ?? 0
    this.#next[previous] = next
    this.#previous[next] = previous
  }

  #link(event: number): void {
    this.#next[this.#previous[event] ?? 0] = event
    this.#previous[this.#next[event] ?? 0] = event
  }
}
