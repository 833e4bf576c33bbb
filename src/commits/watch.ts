import type { Db } from '../database/connect.ts'
import { type EventStream, eventText } from '../http/server-sent-events.ts'
import { SharedText } from '../http/shared-text.ts'
import { Problem } from '../problems.ts'
import { listProgress } from '../tables/queries.ts'
import { historyNotAvailable } from './history.ts'
import { createEventPages } from './watch-pages.ts'

/** Sends the commits of tables to those who watch them. */
export interface CommitWatch {
  /** Throws `overloaded` when nobody more may watch. */
  refuseTooMany: () => void
  /** Sends the commits behind version `after`, and those to come, until the stream is closed or the table dropped. */
  follow: (table: TableProgress, after: number, stream: EventStream) => void
  /** Tells of tables that have new commits. Those of other servers are found by looking. */
  wake: (tableIds: readonly string[]) => void
  /** Streams that are open. */
  watchers: () => number
  /** Ends the work under way. The streams must be closed. */
  stop: () => Promise<void>
}

export interface CommitWatchOptions {
  db: Db
  /** Time between two looks at the tables that are watched. */
  pollMs: number
  watchersMax: number
  log: { warn: (facts: object, message: string) => void }
}

/** How far a table has come, as far as is known. `version` is its newest. */
export interface TableProgress {
  id: string
  version: number
  /** The oldest version whose commit is known. */
  commitsFrom: number
  droppedAt: string | null
}

/**
 * The version behind which a watcher begins: the last that it says to have seen, or the one before the first that
 * it asks for, or else the newest. Throws `version-not-found` or `history-not-available` when commits would be missing
 * in between.
 */
export function watchedAfter(
  { version, commitsFrom }: TableProgress,
  { lastEventId, fromVersion }: { lastEventId?: number | undefined; fromVersion?: number },
): number {
  const after = lastEventId ?? (fromVersion === undefined ? version : fromVersion - 1)
  if (after + 1 < commitsFrom) throw historyNotAvailable(`Version ${after + 1}`, commitsFrom)
  if (after <= version) return after
  const detail = `The table's newest version is ${version}, so nothing can follow version ${after}.`
  throw new Problem('version-not-found', detail, { facts: { currentVersion: version } })
}

interface Watcher {
  stream: EventStream
  /** The last version that was sent. */
  after: number
  isAdvancing: boolean
}

/** A table that is watched. */
interface Feed {
  table: TableProgress
  watchers: Set<Watcher>
}

/**
 * The database is asked how far all watched tables have come, by one statement from time to time and at once after
 * commits of this process. A watcher is a place in a table; what it has not sent yet is read from there on, at the
 * pace of its reader.
 */
export function createCommitWatch({ db, pollMs, watchersMax, log }: CommitWatchOptions) {
  const feeds = new Map<string, Feed>()
  const { pageAfter } = createEventPages(db)
  const advancing = new Set<Promise<void>>()
  let watchers = 0
  let stopped = false

  async function sendNext({ table }: Feed, watcher: Watcher): Promise<void> {
    const { stream } = watcher
    while (stream.isOpen() && !stopped && watcher.after < table.version) {
      const { text, last } = await pageAfter(table.id, watcher.after)
      await stream.send(text)
      watcher.after = last
    }
    if (table.droppedAt === null || watcher.after < table.version) return
    const data = JSON.stringify({ tableId: table.id, droppedAt: table.droppedAt })
    await stream.send(new SharedText(eventText({ event: 'dropped', data })))
    stream.end()
  }

  /** Brings a watcher up to the table, as far as that is known to have come; a failure is mended by the next look. */
  function advance(feed: Feed, watcher: Watcher): void {
    const isDue = watcher.after < feed.table.version || feed.table.droppedAt !== null
    if (!isDue || watcher.isAdvancing) return
    watcher.isAdvancing = true
    const work = sendNext(feed, watcher)
      .catch((err) => log.warn({ err }, 'commits could not be read for those who watch'))
      .finally(() => {
        watcher.isAdvancing = false
        advancing.delete(work)
      })
    advancing.add(work)
  }

  async function look(tableIds: readonly string[]): Promise<void> {
    for (const table of await listProgress(db, tableIds)) {
      const feed = feeds.get(table.id)
      if (feed === undefined) continue
      Object.assign(feed.table, table)
      for (const watcher of feed.watchers) advance(feed, watcher)
    }
  }

  const looks = startLooks({
    look,
    pollMs,
    restMs: () => Math.min(restMsMax, restMsMin + watchers * restMsOfWatcher),
    all: () => feeds.keys(),
    onError: (err) => log.warn({ err }, 'the tables that are watched could not be looked at'),
  })

  return {
    refuseTooMany() {
      if (watchers < watchersMax) return
      throw new Problem('overloaded', `${watchers} streams are watched already. Repeat later.`, {
        headers: { 'retry-after': '10' },
      })
    },
    follow(table, after, stream) {
      const feed = feeds.get(table.id) ?? { table: { ...table }, watchers: new Set() }
      feeds.set(table.id, feed)
      feed.table.version = Math.max(feed.table.version, table.version)
      const watcher = { stream, after, isAdvancing: false }
      feed.watchers.add(watcher)
      watchers += 1
      stream.onClose(() => {
        watchers -= 1
        feed.watchers.delete(watcher)
        if (feed.watchers.size === 0) feeds.delete(table.id)
      })
      advance(feed, watcher)
    },
    wake: (tableIds) => looks.at(tableIds.filter((id) => feeds.has(id))),
    watchers: () => watchers,
    async stop() {
      stopped = true
      await looks.stop()
      await Promise.all(advancing)
    },
  } satisfies CommitWatch
}

/** Rests between looks in milliseconds, so that the more watch, the more commits are sent at once. */
const restMsMin = 10
const restMsOfWatcher = 0.5
const restMsMax = 2000

interface LooksOptions {
  look: (tableIds: readonly string[]) => Promise<void>
  pollMs: number
  /** Time between two looks at least. */
  restMs: () => number
  /** All that is to be looked at from time to time. */
  all: () => Iterable<string>
  onError: (error: unknown) => void
}

/** Looks at tables one statement at a time: at all of them every `pollMs`, at some when told to. */
function startLooks({ look, pollMs, restMs, all, onError }: LooksOptions) {
  const due = new Set<string>()
  let looking: Promise<void> | undefined
  let rest: NodeJS.Timeout | undefined
  let stopped = false

  function pump(): void {
    if (stopped || looking !== undefined || rest !== undefined || due.size === 0) return
    const tableIds = [...due]
    due.clear()
    looking = look(tableIds)
      .catch(onError)
      .then(() => {
        looking = undefined
        rest = setTimeout(() => {
          rest = undefined
          pump()
        }, restMs())
      })
  }

  const at = (tableIds: Iterable<string>) => {
    for (const id of tableIds) due.add(id)
    pump()
  }
  // A process that does nothing else may end.
  const poll = setInterval(() => at(all()), pollMs).unref()
  return {
    at,
    async stop() {
      stopped = true
      clearInterval(poll)
      await looking
      clearTimeout(rest)
    },
  }
}
