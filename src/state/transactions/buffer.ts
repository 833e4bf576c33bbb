import type { DeleteOperation, KeyRead, PutOperation } from '../operations.ts'

/** What a transaction has written under a key, as it is to be committed. */
export interface BufferedWrite {
  namespaceId: number
  key: string
  /** Without a condition. */
  operation: PutOperation | DeleteOperation
  /** The entry as it was when the transaction first wrote to it. */
  base: KeyRead
  /** Whether the caller has said which version it is to have. */
  isConditional: boolean
  /** About what it takes of the memory. */
  bytes: number
}

/** A new write under a key in place of an earlier one; without `write` the entry is as the transaction found it. */
export interface BufferChange {
  namespaceId: number
  key: string
  write: BufferedWrite | undefined
}

/** Writes, those that savepoints may bring back among them. */
export interface BufferSize {
  count: number
  bytes: number
}

/** The writes of a transaction that is open. A savepoint is a mark in the list of what was replaced since the first. Pure. */
export class WriteBuffer {
  readonly #writes = new Map<number, Map<string, BufferedWrite>>()
  #replaced: BufferChange[] = []
  readonly #savepoints: { name: string; mark: number }[] = []
  #size: BufferSize = { count: 0, bytes: 0 }

  get size(): BufferSize {
    return this.#size
  }

  /** The names of the savepoints, oldest first; a name may stand twice. */
  get savepoints(): string[] {
    return this.#savepoints.map(({ name }) => name)
  }

  find(namespaceId: number, key: string): BufferedWrite | undefined {
    return this.#writes.get(namespaceId)?.get(key)
  }

  /** The writes to a namespace. */
  of(namespaceId: number): BufferedWrite[] {
    return [...(this.#writes.get(namespaceId)?.values() ?? [])]
  }

  /** The namespaces that are written to. */
  namespaces(): number[] {
    return [...this.#writes].flatMap(([id, writes]) => (writes.size > 0 ? id : []))
  }

  /** What the buffer would come to with these changes, each of another key. */
  sizeAfter(changes: readonly BufferChange[]): BufferSize {
    return changes.map((change) => this.#growth(change)).reduce(sum, this.#size)
  }

  apply(changes: readonly BufferChange[]): void {
    for (const change of changes) {
      const { namespaceId, key } = change
      const write = this.find(namespaceId, key)
      this.#size = sum(this.#size, this.#growth(change))
      if (this.#savepoints.length > 0) this.#replaced.push({ namespaceId, key, write })
      this.#set(change)
    }
  }

  setSavepoint(name: string): void {
    this.#savepoints.push({ name, mark: this.#replaced.length })
  }

  /** Undoes what was written since the savepoint, which stays. Answers whether there is one of this name. */
  rollBackTo(name: string): boolean {
    const place = this.#placeOf(name)
    const savepoint = this.#savepoints[place]
    if (savepoint === undefined) return false
    for (const change of this.#replaced.splice(savepoint.mark).reverse()) {
      const write = this.find(change.namespaceId, change.key)
      const present = Number(change.write !== undefined) - Number(write !== undefined)
      this.#size = sum(this.#size, { count: present - 1, bytes: -(write?.bytes ?? 0) })
      this.#set(change)
    }
    this.#savepoints.splice(place + 1)
    return true
  }

  /** Forgets the savepoint and those set since; what was written stays. Answers whether there is one of this name. */
  release(name: string): boolean {
    const place = this.#placeOf(name)
    if (place < 0) return false
    this.#savepoints.splice(place)
    if (this.#savepoints.length > 0) return true
    const freed = this.#replaced.map(({ write }) => ({ count: -1, bytes: -(write?.bytes ?? 0) }))
    this.#size = freed.reduce(sum, this.#size)
    this.#replaced = []
    return true
  }

  /** Of the newest savepoint of this name. */
  #placeOf(name: string): number {
    return this.#savepoints.findLastIndex((one) => one.name === name)
  }

  #growth({ namespaceId, key, write }: BufferChange): BufferSize {
    const before = this.find(namespaceId, key)
    const present = Number(write !== undefined) - Number(before !== undefined)
    const bytes = write?.bytes ?? 0
    // What is replaced stays in memory where a savepoint may bring it back.
    return this.#savepoints.length > 0
      ? { count: present + 1, bytes }
      : { count: present, bytes: bytes - (before?.bytes ?? 0) }
  }

  #set({ namespaceId, key, write }: BufferChange): void {
    const writes = this.#writes.get(namespaceId) ?? new Map<string, BufferedWrite>()
    this.#writes.set(namespaceId, writes)
    if (write === undefined) writes.delete(key)
    else writes.set(key, write)
  }
}

function sum(one: BufferSize, other: BufferSize): BufferSize {
  return { count: one.count + other.count, bytes: one.bytes + other.bytes }
}
