import type { Element, ListTransaction } from './list-append.ts'

type Lists = ReadonlyMap<string, readonly Element[]>

/** What is asked of an order of transactions. */
export interface Trial {
  /** Each transaction runs by itself; otherwise each on a snapshot, and no two at once that append to one list. */
  isSerial: boolean
  /** None starts before one has committed that had returned when it was called. */
  keepsTime: boolean
  /** The lists after all of them, where they are known. */
  end?: Lists
}

interface Place {
  lists: Lists
  waiting: readonly ListTransaction[]
  started: readonly Started[]
}

interface Started {
  transaction: ListTransaction
  /** The lists that others have appended to since. */
  touched: readonly string[]
}

/** Tries every order in which transactions can have started and committed: plain, and slow. */
export function hasOrder(transactions: readonly ListTransaction[], trial: Trial): boolean {
  const waiting = transactions.filter(({ outcome }) => outcome !== 'aborted')
  return goOn({ lists: new Map(), waiting, started: [] }, trial)
}

function goOn(place: Place, trial: Trial): boolean {
  const { lists, waiting, started } = place
  const isOver = started.length === 0 && waiting.every(({ outcome }) => outcome === 'unknown')
  if (isOver && isEnd(lists, trial.end)) return true
  return (
    started.some((one) => mayCommit(one) && goOn(afterCommit(place, one), trial)) ||
    waiting.some((one) => mayStart(one, place, trial) && goOn(afterStart(place, one), trial))
  )
}

function isEnd(lists: Lists, end: Lists | undefined): boolean {
  if (end === undefined) return true
  return [...lists.keys(), ...end.keys()].every((key) => isSame(lists.get(key), end.get(key)))
}

function mayStart(one: ListTransaction, { lists, waiting, started }: Place, trial: Trial): boolean {
  if (trial.isSerial && started.length > 0) return false
  const open = [...waiting, ...started.map(({ transaction }) => transaction)]
  if (trial.keepsTime && open.some((other) => other.return < one.call)) return false
  return readsFrom(lists, one)
}

function afterStart({ lists, waiting, started }: Place, one: ListTransaction): Place {
  return {
    lists,
    waiting: waiting.filter((other) => other !== one),
    started: [...started, { transaction: one, touched: [] }],
  }
}

function mayCommit({ transaction, touched }: Started): boolean {
  return transaction.operations.every(({ kind, key }) => kind === 'read' || !touched.includes(key))
}

function afterCommit({ lists, waiting, started }: Place, one: Started): Place {
  const after = new Map(lists)
  const keys: string[] = []
  for (const operation of one.transaction.operations) {
    if (operation.kind === 'read') continue
    keys.push(operation.key)
    after.set(operation.key, [...(after.get(operation.key) ?? []), operation.element])
  }
  const others = started.filter((other) => other !== one)
  return {
    lists: after,
    waiting,
    started: others.map(({ transaction, touched }) => ({
      transaction,
      touched: [...touched, ...keys],
    })),
  }
}

/** Whether a transaction would read from these lists what it was told. What is unheard may have read anything. */
function readsFrom(lists: Lists, { operations, outcome }: ListTransaction): boolean {
  const own = new Map(lists)
  return operations.every((operation) => {
    const list = own.get(operation.key) ?? []
    if (operation.kind === 'read') return outcome === 'unknown' || isSame(list, operation.list)
    return own.set(operation.key, [...list, operation.element])
  })
}

function isSame(one: readonly Element[] = [], other: readonly Element[] = []): boolean {
  return one.length === other.length && one.every((element, index) => element === other[index])
}
