/** A step of a client who has several transactions open, one in each slot. */
export interface Step {
  kind:
    | 'run'
    | 'setSavepoint'
    | 'rollBackTo'
    | 'release'
    | 'commit'
    | 'rollBack'
    | 'putOutside'
    | 'deleteOutside'
  slot: number
  /** Of a run, done by one request. */
  operations: readonly Operation[]
  /** Of a write outside. */
  key: string
  value: number
  /** Of the transaction, where the slot has none. */
  level: string
  /** Of a savepoint. */
  name: string
}

export interface Operation {
  kind: 'get' | 'put' | 'delete' | 'list'
  key: string
  value: number
  range: Range
}

type Range = { prefix?: string; start?: string; end?: string }

/** The newest write of a key; without a value it was a deletion. */
interface Entry {
  version: number
  value: number | undefined
}
type Entries = ReadonlyMap<string, Entry>

/** A write of a transaction, and whether the entry was there when it first wrote to it. */
interface Own {
  value: number | undefined
  wasThere: boolean
}
type Owns = ReadonlyMap<string, Own>

interface Transaction {
  level: string
  /** What all reads see, once there was one. */
  view: Entries | undefined
  own: Owns
  savepoints: { name: string; own: Owns }[]
  read: Set<string>
  ranges: Range[]
}

const nothing: Entry = { version: 0, value: undefined }

/** Entries of a namespace, and transactions that work on whole copies of them. */
export class Model {
  #committed: Entries = new Map()
  readonly #open = new Map<number, Transaction>()

  /** Does a step, and answers in short what is to be told of it. */
  do(step: Step): unknown {
    if (step.kind === 'putOutside' || step.kind === 'deleteOutside') {
      const value = step.kind === 'putOutside' ? step.value : undefined
      const before = this.#committed.get(step.key)?.value
      this.#committed = written(this.#committed, step.key, value)
      return statusOf(value, before)
    }
    const tx = this.#open.get(step.slot) ?? {
      level: step.level,
      view: undefined,
      own: new Map(),
      savepoints: [],
      read: new Set(),
      ranges: [],
    }
    this.#open.set(step.slot, tx)
    switch (step.kind) {
      case 'run':
        return step.operations.map((operation) => this.#run(tx, operation))
      case 'commit':
        return this.#commit(step.slot, tx)
      case 'rollBack':
        this.#open.delete(step.slot)
        return 200
      default:
        return mark(tx, step)
    }
  }

  #run(tx: Transaction, { kind, key, value, range }: Operation): unknown {
    switch (kind) {
      case 'get':
        return this.#see(tx, key) ?? null
      case 'put':
        return this.#write(tx, key, value)
      case 'delete':
        return this.#write(tx, key, undefined)
      case 'list':
        return this.#list(tx, range)
    }
  }

  #viewOf(tx: Transaction): Entries {
    if (tx.level === 'ReadCommitted') return this.#committed
    tx.view ??= this.#committed
    return tx.view
  }

  #see(tx: Transaction, key: string): number | undefined {
    const found = this.#viewOf(tx).get(key)?.value
    tx.read.add(key)
    const own = tx.own.get(key)
    return own === undefined ? found : own.value
  }

  #write(tx: Transaction, key: string, value: number | undefined): number {
    const found = this.#viewOf(tx).get(key)?.value
    const before = this.#see(tx, key)
    if (value === undefined && before === undefined) return 404
    const wasThere = tx.own.get(key)?.wasThere ?? found !== undefined
    const own = new Map(tx.own)
    if (value === undefined && !wasThere) own.delete(key)
    else own.set(key, { value, wasThere })
    tx.own = own
    return statusOf(value, before)
  }

  #list(tx: Transaction, range: Range): [string, number][] {
    tx.ranges.push(range)
    const seen = new Map([...this.#viewOf(tx)].map(([key, { value }]) => [key, value]))
    for (const [key, { value }] of tx.own) seen.set(key, value)
    return [...seen]
      .flatMap(([key, value]): [string, number][] =>
        value !== undefined && isIn(key, range) ? [[key, value]] : [],
      )
      .toSorted()
  }

  #commit(slot: number, tx: Transaction): unknown[] {
    this.#open.delete(slot)
    const view = this.#viewOf(tx)
    const keys = new Set([...view.keys(), ...this.#committed.keys()])
    const isJudged = (key: string) =>
      tx.level === 'Serializable'
        ? tx.read.has(key) || tx.ranges.some((range) => isIn(key, range))
        : tx.own.has(key)
    const versionIn = (entries: Entries, key: string) => (entries.get(key) ?? nothing).version
    const isStale = [...keys].some(
      (key) => isJudged(key) && versionIn(view, key) !== versionIn(this.#committed, key),
    )
    if (tx.own.size > 0 && isStale) return [409, ...this.#told()]
    for (const [key, { value }] of tx.own) this.#committed = written(this.#committed, key, value)
    return [200, ...this.#told()]
  }

  #told(): string[] {
    const there = [...this.#committed].filter(([, { value }]) => value !== undefined)
    return there.map(([key, { value, version }]) => `${key}=${value}@${version}`).toSorted()
  }
}

/** The entries with one more write. */
function written(entries: Entries, key: string, value: number | undefined): Entries {
  const before = entries.get(key) ?? nothing
  if (value === undefined && before.value === undefined) return entries
  return new Map(entries).set(key, { version: before.version + 1, value })
}

function statusOf(value: number | undefined, before: number | undefined): number {
  if (value === undefined) return before === undefined ? 404 : 200
  return before === undefined ? 201 : 200
}

function isIn(key: string, { prefix = '', start = '', end }: Range): boolean {
  return key.startsWith(prefix) && key >= start && (end === undefined || key < end)
}

function mark(tx: Transaction, { kind, name }: Step): number {
  if (kind === 'setSavepoint') {
    tx.savepoints.push({ name, own: tx.own })
    return 201
  }
  const place = tx.savepoints.findLastIndex((one) => one.name === name)
  const found = tx.savepoints[place]
  if (found === undefined) return 404
  if (kind === 'rollBackTo') tx.own = found.own
  tx.savepoints.splice(kind === 'rollBackTo' ? place + 1 : place)
  return 200
}
