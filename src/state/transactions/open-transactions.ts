import { randomUUID } from 'node:crypto'
import type { Db } from '../../database/connect.ts'
import { Problem } from '../../problems.ts'
import { OpenTransaction } from './open-transaction.ts'
import { type Outcome, type StateTransactionRow, updateEnded } from './queries.ts'
import { newestView, pinnedView } from './view.ts'

/** The interactive transactions that this server has. */
export interface OpenTransactions {
  /** Stands for this process, for as long as it lives. */
  serverId: string
  /** Takes a place for a transaction that is to be begun. Throws `overloaded` where there is none. */
  takePlace: () => void
  leavePlace: () => void
  /** Goes on with a transaction that was begun, which keeps its place until it ends. */
  add: (row: StateTransactionRow) => void
  find: (id: string) => OpenTransaction | undefined
  /** How one ended that was here, as long as that is remembered. */
  outcomeOf: (id: string) => Outcome | undefined
  /** Ends one, and notes how if that is not done already. */
  end: (transaction: OpenTransaction, outcome: Outcome, isNoted?: boolean) => Promise<void>
  /** Rolls all of them back. */
  endAll: () => Promise<void>
  count: () => number
}

export interface OpenTransactionsOptions {
  db: Db
  /** Its connections are held from the first read of a transaction until its end. */
  pinDb: Db
  max: number
  ageMsMax: number
  log: { warn: (facts: object, message: string) => void }
}

const rememberedMax = 10_000

export function createOpenTransactions({
  db,
  pinDb,
  max,
  ageMsMax,
  log,
}: OpenTransactionsOptions): OpenTransactions {
  const open = new Map<string, OpenTransaction>()
  const ended = new Map<string, Outcome>()
  let taken = 0

  function close(transaction: OpenTransaction, outcome: Outcome): Promise<void> {
    const { id } = transaction.row
    if (!open.delete(id)) return Promise.resolve()
    taken -= 1
    if (ended.size >= rememberedMax) ended.clear()
    ended.set(id, outcome)
    return transaction.end(outcome)
  }

  /** Who cannot be told by the database is told by `ended`, and once their time is over by that. */
  function note(ids: readonly string[], outcome: Outcome): Promise<void> {
    return updateEnded(db, ids, outcome).catch((err) =>
      log.warn({ err }, 'the end of interactive transactions could not be noted'),
    )
  }

  async function end(transaction: OpenTransaction, outcome: Outcome, isNoted = false) {
    await close(transaction, outcome)
    if (!isNoted) await note([transaction.row.id], outcome)
  }

  return {
    serverId: randomUUID(),
    takePlace() {
      if (taken >= max) throw tooMany(taken, max)
      taken += 1
    },
    leavePlace: () => {
      taken -= 1
    },
    add(row) {
      const view = row.isolationLevel === 'ReadCommitted' ? newestView(db) : pinnedView(pinDb)
      const onEnd = (outcome: Outcome) => void end(transaction, outcome)
      const transaction = new OpenTransaction({ row, view, ageMsMax, onEnd })
      open.set(row.id, transaction)
    },
    find: (id) => open.get(id),
    outcomeOf: (id) => ended.get(id),
    end,
    async endAll() {
      const transactions = [...open.values()]
      if (transactions.length === 0) return
      await Promise.all(transactions.map((one) => close(one, 'rolled-back')))
      const ids = transactions.map(({ row }) => row.id)
      await note(ids, 'rolled-back')
    },
    count: () => open.size,
  }
}

function tooMany(count: number, max: number): Problem {
  return new Problem(
    'overloaded',
    `${count} interactive transactions are open at this server, and ${max} may be. Commit some or roll them back.`,
    { headers: { 'retry-after': '5' } },
  )
}
