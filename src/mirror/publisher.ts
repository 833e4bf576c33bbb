import type { Db } from '../database/connect.ts'
import { type Published, publishTable } from './publish-table.ts'
import { findBacklog } from './queries.ts'

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
  mirrorRoots: readonly string[]
  pollMs: number
  log: { warn: (facts: object, message: string) => void }
}

const tablesAtOnceMax = 4
const tablesDueMax = 1000

export function startPublisher(options: PublisherOptions): Publisher {
  const { db, mirrorRoots, pollMs, log } = options
  const due = new Set<string>()
  const active = new Map<string, Promise<void>>()
  /** Tables whose folder holds nothing half done, as far as this publisher has seen to it. */
  const swept = new Set<string>()
  let behind = { tables: 0, lagMs: 0 }
  let stopped = false

  function pump(): void {
    for (const tableId of due) {
      if (stopped || active.size >= tablesAtOnceMax) return
      if (active.has(tableId)) continue
      due.delete(tableId)
      const work = publish(tableId).then(() => {
        active.delete(tableId)
        pump()
      })
      active.set(tableId, work)
    }
  }

  async function publish(tableId: string): Promise<void> {
    try {
      const sweep = !swept.has(tableId)
      const result: Published = await publishTable(db, { tableId, mirrorRoots, sweep })
      if (result.kind === 'published') {
        swept.add(tableId)
        if (result.more) due.add(tableId)
      } else if (result.kind !== 'idle') {
        swept.delete(tableId)
        log.warn({ tableId, ...result }, 'a table could not be published')
      }
    } catch (err) {
      swept.delete(tableId)
      log.warn({ tableId, err }, 'the mirror could not reach the database')
    }
  }

  async function poll(): Promise<void> {
    try {
      const backlog = await findBacklog(db, tablesDueMax)
      behind = { tables: backlog.tables, lagMs: Math.max(0, backlog.lagMs) }
      for (const tableId of backlog.due) due.add(tableId)
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
      for (const tableId of tableIds) due.add(tableId)
      pump()
    },
    behind: () => behind,
    async stop() {
      stopped = true
      clearTimeout(timer)
      await Promise.all([polling, ...active.values()])
    },
  }
}
