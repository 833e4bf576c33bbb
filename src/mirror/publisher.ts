import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '../database/connect.ts'
import { inTransaction } from '../database/transaction.ts'
import type { Storage } from '../storage/storage.ts'
import { type Backlog, countMirrors, findBacklog, settleTables } from './backlog-queries.ts'
import { type Published, publishTables } from './publish-tables.ts'
import { type Round, Rounds } from './rounds.ts'
import { type FailureKind, failureKinds, type MirrorStateName, mirrorStates } from './rules.ts'
import { Stores } from './stores.ts'

/** Publishes commits in the background: at once when told of them, and by looking from time to time. */
export interface Publisher {
  /** Tells of tables that have new commits, and how many commits were written together. */
  wake: (tableIds: readonly string[], commits?: number) => void
  /** Tries tables at once, also in a store that is left alone. */
  retry: (tableIds: readonly string[]) => void
  status: () => MirrorStatus
  /** The tables of which versions were published since this was asked last. */
  takePublished: () => string[]
  /** Ends the work under way and begins no more. */
  stop: () => Promise<void>
}

/** How the mirrors of all tables were at the last look, and what this server has done for them. */
export interface MirrorStatus extends Pick<Backlog, 'pending' | 'lagMs'> {
  /** Tables by the state of their mirror. */
  states: Readonly<Record<MirrorStateName, number>>
  /** Stores that are left alone because several of their tables have failed. */
  restingStores: readonly string[]
  /** Versions that this server has published. */
  published: number
  /** How many of these went ahead of other tables of their transaction, which were not being published. */
  ahead: number
  /** Attempts of this server that came to nothing. */
  failures: Readonly<Record<FailureKind, number>>
}

export interface PublisherOptions {
  db: Db
  storage: Storage
  pollMs: number
  log: Record<'info' | 'warn', (facts: object, message: string) => void>
}

const tablesDueMax = 1000
/** How many times longer than a look for what waits the pause behind it is; at most as many times as usual. */
const pauseGrowth = 5
/** How many times longer than counting all tables the pause behind it is; at most so long. */
const countPauseGrowth = 200
const countPauseMsMax = 60_000
/** How long nothing must have been published of a table until it is settled; that is done so often, for so many. */
const quietMs = 10_000
const settledMax = 1000
/**
 * Commits come first: the mirror rests after a round for as long as it took, times the cube of how many times so many
 * commits are written together, or this. The more of them wait for each other, the fewer and larger rounds are made.
 */
const restedCommits = 8
const restMsMax = 1000
/** While rounds are under way, how long it may take until tables that come meanwhile are looked at. */
const pumpMs = 50

export function startPublisher(options: PublisherOptions): Publisher {
  const { db, storage, pollMs, log } = options
  const rounds = new Rounds()
  const stores = new Stores(log)
  const underWay = new Set<Promise<void>>()
  let { states, pending, lagMs, published, ahead } = noPublisher.status()
  let tables = 0
  let countAt = 0
  let settleAt = 0
  let batches = 0
  /** How many commits a batch had of late, in the mean. */
  let commitsTogether = 0
  const failures = zeroes(failureKinds)
  const moved = new Set<string>()
  let stopped = false
  let pumping: NodeJS.Timeout | undefined

  function pump(): void {
    clearTimeout(pumping)
    pumping = undefined
    while (!stopped) {
      const round = rounds.take((tableId) => stores.standing(tableId))
      if (round === undefined) return
      const work = run(round).then(() => {
        underWay.delete(work)
        pump()
      })
      underWay.add(work)
    }
  }

  async function run(round: Round): Promise<void> {
    const began = performance.now()
    const batchesBefore = batches
    const attempts = round.tableIds.map((tableId) => stores.begin(tableId))
    const results = await publish(round)
    for (const attempt of attempts) stores.end(attempt, results?.get(attempt.tableId))
    if (batches === batchesBefore) commitsTogether = 0
    const restMs = (performance.now() - began) * (commitsTogether / restedCommits) ** 3
    if (!stopped) await sleep(Math.min(restMsMax, restMs))
    rounds.end(round, results)
  }

  async function publish({ tableIds, isUnsound: sweep, isWhole }: Round) {
    const restingStores = stores.resting()
    try {
      const results = await publishTables(db, { tableIds, storage, sweep, isWhole, restingStores })
      for (const [tableId, result] of results) count(tableId, result)
      return results
    } catch (err) {
      log.warn({ tableIds, err }, 'the mirror could not reach the database')
      return undefined
    }
  }

  function count(tableId: string, result: Published): void {
    if (result.kind === 'published') {
      published += result.versions
      ahead += result.ahead
      if (result.versions > 0) moved.add(tableId)
    }
    if (!('failure' in result)) return
    failures[result.failure] += 1
    log.warn({ tableId, ...result }, 'a table could not be published')
  }

  async function poll(): Promise<void> {
    const began = performance.now()
    try {
      const asked = { limit: tablesDueMax, except: stores.closed() }
      const { due, ...found } = await findBacklog(db, asked)
      if (began >= countAt) await countTables()
      states = statesOf(found.states, tables)
      pending = found.pending
      lagMs = Math.max(0, found.lagMs)
      for (const { tableId, store } of due) stores.note(tableId, store)
      rounds.add(due.map(({ tableId }) => tableId))
      pump()
      if (began >= settleAt) await settle()
    } catch (err) {
      log.warn({ err }, 'the mirror could not reach the database')
    }
    const pauseMs = Math.max(pollMs, pauseGrowth * (performance.now() - began))
    if (!stopped) timer = setTimeout(look, Math.min(pauseMs, pauseGrowth * pollMs))
  }

  async function countTables(): Promise<void> {
    const began = performance.now()
    tables = await countMirrors(db)
    const now = performance.now()
    countAt = now + Math.min(countPauseMsMax, (now - began) * countPauseGrowth)
  }

  async function settle(): Promise<void> {
    const limit = settledMax
    const settled = await inTransaction(db, (tx) => settleTables(tx, { quietMs, limit }))
    if (settled < limit) settleAt = performance.now() + quietMs
  }

  const look = () => {
    polling = poll()
  }
  let polling: Promise<void> | undefined
  let timer = setTimeout(look, 0)
  return {
    wake(tableIds, commits = 1) {
      batches += 1
      commitsTogether += (commits - commitsTogether) / 8
      rounds.add(tableIds)
      if (underWay.size === 0) pump()
      else pumping ??= setTimeout(pump, pumpMs)
    },
    retry(tableIds) {
      stores.hurry()
      rounds.add(tableIds)
      pump()
    },
    status: () => ({
      states,
      pending,
      lagMs,
      restingStores: stores.resting(),
      published,
      ahead,
      failures,
    }),
    takePublished() {
      const tableIds = [...moved]
      moved.clear()
      return tableIds
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      clearTimeout(pumping)
      await Promise.all([polling, ...underWay])
    },
  }
}

/** Stands for the mirror where none runs. */
export const noPublisher: Publisher = {
  wake() {},
  retry() {},
  status: () => ({
    states: zeroes(mirrorStates),
    pending: 0,
    lagMs: 0,
    restingStores: [],
    published: 0,
    ahead: 0,
    failures: zeroes(failureKinds),
  }),
  takePublished: () => [],
  async stop() {},
}

/** The states of all tables: those of which nothing was found are current. */
function statesOf(found: Backlog['states'], tables: number): Record<MirrorStateName, number> {
  const { current: _some, ...others } = { ...zeroes(mirrorStates), ...found }
  const rest = Object.values(others).reduce((sum, count) => sum + count, 0)
  return { ...others, current: Math.max(0, tables - rest) }
}

function zeroes<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>
}
