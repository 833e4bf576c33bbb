import type { Db } from '../database/connect.ts'
import { isNotPermitted } from '../database/sqlstate.ts'
import { inTransaction } from '../database/transaction.ts'
import { deleteExpiredAnswers } from '../idempotency/queries.ts'
import { sweepHistory } from '../state/retention/sweep-history.ts'
import {
  checkpoint,
  countExpiredAnswers,
  listSqlTables,
  type OperationKind,
  type Progress,
  updateFinished,
  updateHeartbeats,
  updateProgress,
  vacuumTable,
} from './queries.ts'
import { heartbeatMs } from './rules.ts'

/** An operation that has been noted as running. */
export interface Operation {
  operationId: string
  kind: OperationKind
}

/** Runs operations in the background, one at a time. */
export interface Maintenance {
  /** Whether so many operations wait that no more may be noted. */
  isFull: () => boolean
  /** Takes an operation that has been noted. */
  run: (operation: Operation) => void
  /** Ends the step under way and begins no more; what is not done by then has failed. */
  stop: () => Promise<void>
}

export interface MaintenanceOptions {
  db: Db
  retentionMs: number
  log: { warn: (facts: object, message: string) => void }
}

const operationsMax = 16

/** Nothing is connected before there is an operation to run. */
export function createMaintenance(options: MaintenanceOptions): Maintenance {
  const { db, log } = options
  /** The one under way and those that wait for it. */
  const held: Operation[] = []
  let draining: Promise<void> | undefined
  let beating: Promise<void> | undefined
  let stopped = false

  async function drain(): Promise<void> {
    const heart = setInterval(() => {
      beating = beat()
    }, heartbeatMs)
    for (let next = held[0]; next !== undefined; next = held[0]) {
      await runToEnd(next)
      held.shift()
    }
    clearInterval(heart)
    draining = undefined
  }

  async function beat(): Promise<void> {
    const ids = held.map(({ operationId }) => operationId)
    try {
      await inTransaction(db, (tx) => updateHeartbeats(tx, ids))
    } catch (err) {
      log.warn({ err }, 'the heartbeat of maintenance could not be written')
    }
  }

  /** An end that cannot be written down shows when the heartbeat has been away for long enough. */
  async function runToEnd({ operationId, kind }: Operation): Promise<void> {
    try {
      const error = await runSteps({ operationId, kind }).catch((err) => {
        log.warn({ err, operationId, kind }, 'maintenance failed')
        return reasonOf(err)
      })
      await inTransaction(db, (tx) => updateFinished(tx, operationId, error))
    } catch (err) {
      log.warn({ err, operationId, kind }, 'the end of maintenance could not be written')
    }
  }

  /** Answers why the operation was given up, or undefined when it is done. */
  async function runSteps({ operationId, kind }: Operation): Promise<string | undefined> {
    if (stopped) return serverStopped
    for await (const progress of works[kind](options)) {
      await inTransaction(db, (tx) => updateProgress(tx, operationId, progress))
      if (stopped && progress.done < progress.total) return serverStopped
    }
    return undefined
  }

  return {
    isFull: () => held.length >= operationsMax,
    run(operation) {
      held.push(operation)
      draining ??= drain()
    },
    async stop() {
      stopped = true
      await draining
      await beating
    },
  }
}

/** The steps of each kind: each begins with how much there is to do, and tells after each step what is done. */
const works: Record<OperationKind, (options: MaintenanceOptions) => AsyncGenerator<Progress>> = {
  async *vacuum({ db }) {
    const tables = await listSqlTables(db)
    const total = tables.length
    yield { done: 0, total }
    for (const [index, table] of tables.entries()) {
      await vacuumTable(db, table)
      yield { done: index + 1, total }
    }
  },
  async *retention({ db, retentionMs }) {
    const expired = await countExpiredAnswers(db, retentionMs)
    yield { done: 0, total: expired }
    let done = 0
    let removed: number
    do {
      removed = await inTransaction(db, (tx) => deleteExpiredAnswers(tx, retentionMs))
      done += removed
      yield { done, total: removed > 0 ? Math.max(done, expired) : done }
    } while (removed > 0)
    for await (const writes of sweepHistory(db, { archivesOnly: false })) {
      yield { done: done + writes.done, total: done + writes.total }
    }
  },
  async *archive({ db }) {
    yield* sweepHistory(db, { archivesOnly: true })
  },
  async *checkpoint({ db }) {
    yield { done: 0, total: 1 }
    await checkpoint(db)
    yield { done: 1, total: 1 }
  },
}

const serverStopped = 'The server was stopped before it was done. Start it again.'

function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return isNotPermitted(error)
    ? `PostgreSQL does not permit it to the role of this service: ${message}. Grant it, then start again.`
    : `PostgreSQL refused: ${message}.`
}
