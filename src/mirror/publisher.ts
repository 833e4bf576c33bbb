import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '../database/connect.ts'
import type { Storage } from '../storage/storage.ts'
import { publishTables } from './publish-tables.ts'
import { findBacklog } from './queries.ts'
import { type Round, Rounds } from './rounds.ts'

/** Publishes commits in the background: at once when told of them, and by looking from time to time. */
export interface Publisher {
  /** Tells of tables that have new commits. */
  wake: (tableIds: readonly string[]) => void
  /**
   * How far the mirror was behind at the last look: tables, and milliseconds since the oldest commit that waits,
   * forks aside.
   */
  behind: () => { tables: number; lagMs: number }
  /** Ends the work under way and begins no more. */
  stop: () => Promise<void>
}

export interface PublisherOptions {
  db: Db
  storage: Storage
  pollMs: number
  log: { warn: (facts: object, message: string) => void }
}

const tablesDueMax = 1000
/** The mirror rests after a round for as long as that took, or this; so under load it makes few large ones. */
const restMsMax = 50

export function startPublisher(options: PublisherOptions): Publisher {
  const { db, storage, pollMs, log } = options
  const rounds = new Rounds()
  const underWay = new Set<Promise<void>>()
  let behind = { tables: 0, lagMs: 0 }
  let stopped = false

  function pump(): void {
    while (!stopped) {
      const round = rounds.take()
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
    const results = await publish(round)
    if (!stopped) await sleep(Math.min(restMsMax, performance.now() - began))
    rounds.end(round, results)
  }

  async function publish({ tableIds, isUnsound }: Round) {
    try {
      const results = await publishTables(db, { tableIds, storage, sweep: isUnsound })
      for (const [tableId, result] of results) {
        if (result.kind === 'published' || result.kind === 'idle') continue
        log.warn({ tableId, ...result }, 'a table could not be published')
      }
      return results
    } catch (err) {
      log.warn({ tableIds, err }, 'the mirror could not reach the database')
      return undefined
    }
  }

  async function poll(): Promise<void> {
    try {
      const backlog = await findBacklog(db, tablesDueMax)
      behind = { tables: backlog.tables, lagMs: Math.max(0, backlog.lagMs) }
      rounds.add(backlog.due)
      pump()
    } catch (err) {
      log.warn({ err }, 'the mirror could not reach the database')
    }
    if (!stopped) timer = setTimeout(look, pollMs)
  }

  const look = () => {
    polling = poll()
  }
  let polling: Promise<void> | undefined
  let timer = setTimeout(look, 0)
  return {
    wake(tableIds) {
      rounds.add(tableIds)
      pump()
    },
    behind: () => behind,
    async stop() {
      stopped = true
      clearTimeout(timer)
      await Promise.all([polling, ...underWay])
    },
  }
}
