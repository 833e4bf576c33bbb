import { Problem } from '../problems.ts'

/** How far the events of a channel, a lock or an election have come. */
export interface EventProgress {
  /** Its name. */
  id: string
  /** Number of its newest event; 0 before the first. */
  event: number
}

/** From where on its events can be sent. */
export interface EventHistory extends EventProgress {
  /** Number of the oldest event that is left, or of the next one where none is. */
  historyFrom: number
}

/** One of which nothing is known yet. */
export function eventless(name: string): EventHistory {
  return { id: name, event: 0, historyFrom: 1 }
}

/** What a watcher may ask for. */
export interface EventWishes {
  lastEventId?: number | undefined
  fromEvent?: number | undefined
}

/**
 * The event behind which a watcher begins: the last that it says to have got, or the one before the first that it asks
 * for, or else the newest. Throws `event-not-found` where nothing can follow yet, and `events-compacted` where events
 * would be missing in between.
 */
export function watchedAfter(
  { id, event, historyFrom }: EventHistory,
  { lastEventId, fromEvent }: EventWishes,
): number {
  const after = lastEventId ?? (fromEvent === undefined ? event : fromEvent - 1)
  if (after > event) {
    throw new Problem(
      'event-not-found',
      `The newest event of "${id}" is ${event}, so nothing can follow event ${after}.`,
      { facts: { currentEvent: event } },
    )
  }
  if (after + 1 >= historyFrom) return after
  throw new Problem(
    'events-compacted',
    `Of the events of "${id}" those before ${historyFrom} are gone, so none can be sent from ${after + 1} on.`,
    { facts: { historyFrom } },
  )
}
