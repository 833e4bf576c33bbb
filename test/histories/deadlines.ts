/** Which operations must have their place before a clock goes past a number of theirs. */
export class Deadlines<Operation> {
  readonly #operations: readonly Operation[]
  /** The operations by their numbers. */
  readonly #order: readonly { latest: number; index: number }[]
  /** For each operation its place in that order. */
  readonly #ranks: Int32Array
  readonly #isPlaced: Uint8Array
  /** All before it in that order have their place. */
  #first = 0

  constructor(operations: readonly Operation[], latestOf: (operation: Operation) => number) {
    this.#operations = operations
    this.#order = operations
      .map((operation, index) => ({ latest: latestOf(operation), index }))
      // The difference of two that are infinite is no number.
      .sort((one, other) => (one.latest === other.latest ? 0 : one.latest - other.latest))
    this.#ranks = new Int32Array(operations.length)
    for (const [rank, { index }] of this.#order.entries()) this.#ranks[index] = rank
    this.#isPlaced = new Uint8Array(operations.length)
  }

  /** An operation without place that can have none any more. */
  missedAt(clock: number): Operation | undefined {
    for (let next = this.#order[this.#first]; next !== undefined; ) {
      if (!this.#isPlaced[next.index]) {
        return next.latest < clock ? this.#operations[next.index] : undefined
      }
      this.#first += 1
      next = this.#order[this.#first]
    }
    return undefined
  }

  place(index: number): void {
    this.#isPlaced[index] = 1
  }

  putBack(index: number): void {
    this.#isPlaced[index] = 0
    this.#first = Math.min(this.#first, this.#ranks[index] ?? 0)
  }
}
