import type { EventStream } from '../http/server-sent-events.ts'
import type { SharedText } from '../http/shared-text.ts'
import { startLooks } from './looks.ts'
import type { FeedPage } from './pages.ts'
import type { Seats } from './seats.ts'

/** Sends what happens in feeds to those who watch them. */
export interface Watch<Progress, Place> {
  /** Throws `overloaded` when nobody more may watch. */
  refuseTooMany: () => void
  /** Sends what lies behind a place of a feed, and what is to come, until the stream is closed or nothing can follow. */
  follow: (progress: Progress, place: Place, stream: EventStream) => void
  /** Tells of feeds in which something has happened. What other servers do is found by looking. */
  wake: (ids: readonly string[]) => void
  /** Ends the work under way. The streams must be closed. */
  stop: () => Promise<void>
}

/** What is watched: feeds of one kind. A feed has an id and a progress, and a watcher is a place in it. */
export interface FeedKind<Progress extends { id: string }, Place> {
  /** For the log, in the plural. */
  name: string
  /** How far feeds have come, by one statement; those that are not there are left out. */
  listProgress: (ids: readonly string[]) => Promise<readonly Progress[]>
  /** What rises with the progress of a feed. */
  newest: (progress: Progress) => number
  /** What follows a place; undefined where nothing does yet. */
  pageBehind: (progress: Progress, place: Place) => Promise<FeedPage<Place>> | undefined
  /** An event that says that nothing was left out up to a place; undefined where that cannot be said in between. */
  bookmark?: (place: Place) => SharedText | undefined
}

export interface WatchOptions<Progress extends { id: string }, Place> {
  kind: FeedKind<Progress, Place>
  seats: Seats
  /** Time between two looks at the feeds that are watched. */
  pollMs: number
  /** Time after which a watcher that was sent nothing gets a bookmark; the first comes at once. */
  bookmarkMs?: number
  /** For each watcher the time by which looks are farther apart; by default what leaves writers most of their rate. */
  restMsOfWatcher?: number
  log: { warn: (facts: object, message: string) => void }
}

interface Watcher<Place> {
  stream: EventStream
  /** Up to where all was sent. */
  place: Place
  isAdvancing: boolean
  /** Whether it was sent something since the last round of bookmarks. */
  wasTold: boolean
  isBookmarkDue: boolean
}

/** A feed that is watched. */
interface Feed<Progress, Place> {
  progress: Progress
  watchers: Set<Watcher<Place>>
}

/**
 * The database is asked how far all watched feeds have come, by one statement from time to time and at once after
 * writes of this process. A watcher is a place in a feed; what it has not sent yet is read from there on, at the
 * pace of its reader.
 */
export function createWatch<Progress extends { id: string }, Place>({
  kind,
  seats,
  pollMs,
  bookmarkMs,
  restMsOfWatcher = 0.5,
  log,
}: WatchOptions<Progress, Place>): Watch<Progress, Place> {
  const feeds = new Map<string, Feed<Progress, Place>>()
  const advancing = new Set<Promise<void>>()
  let watchers = 0
  let stopped = false

  /** Brings a watcher up to its feed, as far as that is known to have come; a failure is mended by the next look. */
  function advance(feed: Feed<Progress, Place>, watcher: Watcher<Place>): void {
    if (watcher.isAdvancing) return
    watcher.isAdvancing = true
    const work = sendAll(kind, { feed, watcher, isStopped: () => stopped })
      .catch((err) => log.warn({ err }, `${kind.name} could not be read for those who watch`))
      .finally(() => {
        watcher.isAdvancing = false
        advancing.delete(work)
      })
    advancing.add(work)
  }

  async function look(ids: readonly string[]): Promise<void> {
    for (const progress of await kind.listProgress(ids)) {
      const feed = feeds.get(progress.id)
      if (feed === undefined) continue
      feed.progress = progress
      for (const watcher of feed.watchers) advance(feed, watcher)
    }
  }

  function markPlaces(): void {
    for (const feed of feeds.values()) {
      for (const watcher of feed.watchers) {
        watcher.isBookmarkDue = !watcher.wasTold
        watcher.wasTold = false
        if (watcher.isBookmarkDue) advance(feed, watcher)
      }
    }
  }

  const looks = startLooks({
    look,
    pollMs,
    restMs: () => Math.min(restMsMax, restMsMin + watchers * restMsOfWatcher),
    all: () => feeds.keys(),
    onError: (err) =>
      log.warn({ err }, `it could not be looked up which ${kind.name} those who watch lack`),
  })
  const marking = bookmarkMs === undefined ? undefined : setInterval(markPlaces, bookmarkMs).unref()

  return {
    refuseTooMany: seats.refuseTooMany,
    follow(progress, place, stream) {
      const { id } = progress
      const feed = feeds.get(id) ?? { progress, watchers: new Set() }
      feeds.set(id, feed)
      if (kind.newest(progress) > kind.newest(feed.progress)) feed.progress = progress
      const watcher = { stream, place, isAdvancing: false, wasTold: false, isBookmarkDue: true }
      feed.watchers.add(watcher)
      watchers += 1
      seats.take()
      stream.onClose(() => {
        watchers -= 1
        seats.leave()
        feed.watchers.delete(watcher)
        if (feed.watchers.size === 0) feeds.delete(id)
      })
      advance(feed, watcher)
    },
    wake: (ids) => looks.at(ids.filter((id) => feeds.has(id))),
    async stop() {
      stopped = true
      clearInterval(marking)
      await looks.stop()
      await Promise.all(advancing)
    },
  }
}

/** Rests between looks in milliseconds, so that the more watch, the more is sent at once. */
const restMsMin = 10
const restMsMax = 2000

interface Sending<Progress, Place> {
  feed: Feed<Progress, Place>
  watcher: Watcher<Place>
  isStopped: () => boolean
}

/** Sends a watcher all that follows its place, page after page, and the bookmark that is due. */
async function sendAll<Progress extends { id: string }, Place>(
  kind: FeedKind<Progress, Place>,
  { feed, watcher, isStopped }: Sending<Progress, Place>,
): Promise<void> {
  const { stream } = watcher
  const send = async (text: SharedText) => {
    await stream.send(text)
    watcher.wasTold = true
    watcher.isBookmarkDue = false
  }
  while (stream.isOpen() && !isStopped()) {
    const page = await kind.pageBehind(feed.progress, watcher.place)
    if (page?.text !== undefined) await send(page.text)
    if (page?.isLast) return stream.end()
    watcher.place = page?.place ?? watcher.place
    const bookmark = watcher.isBookmarkDue ? kind.bookmark?.(watcher.place) : undefined
    if (bookmark !== undefined) await send(bookmark)
    else if (page === undefined) return
  }
}
