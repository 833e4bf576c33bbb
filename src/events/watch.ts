import type { Db } from '../database/connect.ts'
import { memberTexts, objectText } from '../http/json-text.ts'
import { type EventStream, eventText } from '../http/server-sent-events.ts'
import { SharedText } from '../http/shared-text.ts'
import { readGathered } from '../watch/gathered.ts'
import { createPages, type FeedPage } from '../watch/pages.ts'
import type { TakeTurn } from '../watch/turns.ts'
import { createWatch, type Watch, type WatchOptions } from '../watch/watch.ts'
import { type EventProgress, type EventWishes, eventless, watchedAfter } from './rules.ts'
import {
  type EventPlace,
  type EventRow,
  findEventHistory,
  listEventProgress,
  listEventsAfter,
  type PageLimits,
  type Topic,
} from './watch-queries.ts'

/** Sends the events of channels, locks or elections to those who watch them. A place is the last that was sent. */
export interface EventWatch extends Watch<EventProgress, number> {
  /**
   * Answers with the stream of the events of a name, which may be one that is not there yet. Throws `event-not-found`,
   * `events-compacted` or `overloaded` before the stream is opened.
   */
  stream: (wishes: { name: string } & EventWishes, open: () => EventStream) => Promise<void>
}

const limits: PageLimits = { eventsMax: 2000, bytesMax: 256 * 1024 }
/** Pages that are read together at most. */
const pagesMax = 32

/** Watches one topic: the events of each name in the order of their numbers, in pages of bounded size. */
export function createEventWatch({
  db,
  topic,
  takeTurn,
  ...options
}: { db: Db; topic: Topic; takeTurn: TakeTurn } & Omit<
  WatchOptions<EventProgress, number>,
  'kind' | 'restMsOfWatcher'
>): EventWatch {
  const { pageAt } = createPages<number>((read) => read())
  const readEvents = readGathered(
    (places: readonly EventPlace[]) => listEventsAfter(db, { topic, places }, limits),
    { takeTurn, max: pagesMax },
  )
  const watch = createWatch<EventProgress, number>({
    ...options,
    // Events are published to be seen soon.
    restMsOfWatcher: 0,
    kind: {
      name: `events of ${topic}s`,
      listProgress: (names) => listEventProgress(db, topic, names),
      newest: ({ event }) => event,
      pageBehind(progress, after) {
        if (after >= progress.event) return undefined
        const { id: name } = progress
        return pageAt(`${after}/${name}`, async () =>
          pageOf(await readEvents({ name, after }), { ...progress, after }),
        )
      },
      bookmark: createBookmarks(),
    },
  })
  return {
    ...watch,
    async stream({ name, ...wishes }, open) {
      const history = (await findEventHistory(db, topic, name)) ?? eventless(name)
      const after = watchedAfter(history, wishes)
      watch.refuseTooMany()
      watch.follow(history, after, open())
    },
  }
}

/** The events up to the first that is missing. Where that is the first of all, retention has overtaken the reader. */
function pageOf(
  events: readonly EventRow[],
  { event: newest, after }: { event: number; after: number },
): FeedPage<number> {
  const gap = events.findIndex(({ event }, index) => event !== after + 1 + index)
  const whole = gap === -1 ? events : events.slice(0, gap)
  if (whole.length > 0) {
    return { text: new SharedText(whole.map(textOf).join('')), place: after + whole.length }
  }
  const data = JSON.stringify({ historyFrom: events[0]?.event ?? newest + 1 })
  return {
    text: new SharedText(eventText({ event: 'compacted', data })),
    place: after,
    isLast: true,
  }
}

function textOf({ event, kind, payload, createdAt }: EventRow): string {
  const data = objectText({ ...memberTexts({ event, createdAt }), payload: payload ?? undefined })
  return eventText({ event: kind, id: String(event), data })
}

/** Makes bookmarks. Most watchers are at the same place of a name, and share one. */
function createBookmarks() {
  let newest: { event: number; text: SharedText } | undefined
  return (event: number): SharedText => {
    if (newest?.event !== event) {
      const data = JSON.stringify({ event })
      const text = eventText({ event: 'bookmark', id: String(event), data })
      newest = { event, text: new SharedText(text) }
    }
    return newest.text
  }
}
