import type { Element, ListOperation, ListTransaction } from './list-append.ts'

/** How a store of lists keeps its transactions apart, soundly or not. */
export type Isolation =
  /** Reads what is committed, and appends under a lock until the end. */
  | 'read-committed'
  /** Reads what was committed at the start; the first that commits to a list wins. */
  | 'snapshot'
  /** Besides, what was read has to be as it was at the commit. */
  | 'validated'
  /** Reads what was committed at the start, and appends to whatever is there. */
  | 'no-check'
  /** Writes back what was read at the start with its own at the end. */
  | 'overwriting'
  /** Reads and writes what is there, with no commit and no way back. */
  | 'none'

export interface Script {
  operations: readonly { kind: 'append' | 'read'; key: string }[]
  /** Gives up in the end. */
  abandons: boolean
  /** Nobody hears the answer to the commit. */
  isUnheard: boolean
}

type Lists = ReadonlyMap<string, readonly Element[]>

interface Running {
  script: Script
  client: number
  call: number
  snapshot: Lists
  done: ListOperation[]
}

const underWay = 3

/** One store in which a few transactions are under way at a time. */
class Store {
  readonly history: ListTransaction[] = []
  readonly lists = new Map<string, readonly Element[]>()
  readonly #isolation: Isolation
  readonly #owners = new Map<string, Running>()
  #time = 0
  #element = 0

  constructor(isolation: Isolation) {
    this.#isolation = isolation
  }

  start(script: Script, client: number): Running {
    this.#time += 1
    return { script, client, call: this.#time, snapshot: new Map(this.lists), done: [] }
  }

  /** One operation more, or the commit after the last. False when the transaction is over. */
  step(running: Running): boolean {
    this.#time += 1
    const next = running.script.operations[running.done.length]
    if (next === undefined) {
      const commits = !running.script.abandons && this.#mayCommit(running)
      if (commits) this.#commit(running)
      this.#end(running, commits ? 'committed' : 'aborted')
      return false
    }
    const { key } = next
    if (next.kind === 'read') {
      running.done.push({ kind: 'read', key, list: this.#read(running, key) })
      return true
    }
    const owner = this.#owners.get(key)
    if (this.#isolation === 'read-committed' && owner !== undefined && owner !== running) {
      this.#end(running, 'aborted')
      return false
    }
    this.#owners.set(key, running)
    const element = ++this.#element
    running.done.push({ kind: 'append', key, element })
    if (this.#isolation === 'none') this.#append(key, [element])
    return true
  }

  #read(running: Running, key: string): readonly Element[] {
    if (this.#isolation === 'none') return this.lists.get(key) ?? []
    const lists = this.#isolation === 'read-committed' ? this.lists : running.snapshot
    return [...(lists.get(key) ?? []), ...appended(running.done, key)]
  }

  #mayCommit({ done, snapshot }: Running): boolean {
    if (!['snapshot', 'validated'].includes(this.#isolation)) return true
    return done.every(
      ({ kind, key }) =>
        (kind === 'read' && this.#isolation === 'snapshot') ||
        snapshot.get(key)?.length === this.lists.get(key)?.length,
    )
  }

  #commit({ done, snapshot }: Running): void {
    if (this.#isolation === 'none') return
    for (const key of new Set(done.filter(isAppend).map((one) => one.key))) {
      if (this.#isolation === 'overwriting') this.lists.set(key, snapshot.get(key) ?? [])
      this.#append(key, appended(done, key))
    }
  }

  #append(key: string, elements: readonly Element[]): void {
    this.lists.set(key, [...(this.lists.get(key) ?? []), ...elements])
  }

  #end(running: Running, outcome: 'committed' | 'aborted'): void {
    const { client, call, done, script } = running
    for (const [key, owner] of this.#owners) if (owner === running) this.#owners.delete(key)
    const heard = script.isUnheard ? ('unknown' as const) : outcome
    const end = script.isUnheard ? Infinity : this.#time
    this.history.push({ client, call, return: end, outcome: heard, operations: done })
  }
}

const isAppend = (one: ListOperation) => one.kind === 'append'

function appended(operations: readonly ListOperation[], key: string): Element[] {
  return operations.flatMap((one) => (one.kind === 'append' && one.key === key ? one.element : []))
}

/** Runs scripts a step at a time, in the order that the picks say, and answers what their clients saw. */
export function simulate(
  scripts: readonly Script[],
  picks: readonly number[],
  isolation: Isolation,
): { history: ListTransaction[]; end: Lists } {
  const store = new Store(isolation)
  for (const { key } of scripts.flatMap(({ operations }) => operations)) store.lists.set(key, [])
  const waiting = [...scripts.entries()]
  const running: Running[] = []
  for (let step = 0; waiting.length + running.length > 0; step += 1) {
    const place = (picks[step % picks.length] ?? 0) % underWay
    const [next] = place < running.length ? [] : waiting.splice(0, 1)
    if (next !== undefined) running.push(store.start(next[1], next[0]))
    const one = running[place % running.length]
    if (one !== undefined && !store.step(one)) running.splice(running.indexOf(one), 1)
  }
  return { history: store.history, end: store.lists }
}
