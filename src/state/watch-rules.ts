import { Problem } from '../problems.ts'

/** How far a namespace has come. */
export interface NamespaceProgress {
  /** Its name. */
  id: string
  /** The newest. */
  revision: number
  /** The oldest revision that the history tells of whole. */
  historyFrom: number
}

/** A namespace that nobody has written to. */
export function unwritten(namespace: string): NamespaceProgress {
  return { id: namespace, revision: 0, historyFrom: 1 }
}

/** Place of a write in the history of its namespace. */
export interface WriteAt {
  revision: number
  position: number
}

/** Behind all writes of a revision. */
export const endPosition = 2 ** 31 - 1

/** Where a watcher is: all up to here was looked at, and sent where the key begins with the prefix. */
export interface WatchPlace extends WriteAt {
  prefix: string
  /** The one write before that is not sent: it is not known yet whether more of its revision follow. */
  held?: number | undefined
}

/** The id of an event of a revision that is not its last. The last has the revision as id. */
const idPattern = /^(\d+)(?:\.(\d+))?$/

/** What a watcher may ask for. */
export interface WatchWishes {
  prefix?: string | undefined
  lastEventId?: string | undefined
  fromRevision?: number | undefined
}

/**
 * Where a watcher begins: behind the last event that it says to have got, or before the first revision that it asks
 * for, or else behind the newest. Throws `revision-not-found` where nothing can follow yet, and `events-compacted` where
 * events would be missing in between.
 */
export function watchPlace(
  { id, revision, historyFrom }: NamespaceProgress,
  { prefix = '', lastEventId, fromRevision }: WatchWishes,
): WatchPlace {
  const place = lastEventId === undefined ? undefined : placeOfId(lastEventId)
  const after = place ?? {
    revision: fromRevision === undefined ? revision : fromRevision - 1,
    position: endPosition,
  }
  if (after.revision > revision) {
    throw new Problem(
      'revision-not-found',
      `The newest revision of "${id}" is ${revision}, so nothing can follow revision ${after.revision}.`,
      { facts: { currentRevision: revision } },
    )
  }
  const next = nextRevision(after)
  if (next >= historyFrom) return { prefix, ...after }
  throw new Problem(
    'events-compacted',
    `Of the events of "${id}" those before revision ${historyFrom} are gone, so none can be sent from revision ${next} on.`,
    { facts: { historyFrom } },
  )
}

function placeOfId(id: string): WriteAt {
  const [, revision, position = endPosition] = idPattern.exec(id) ?? []
  if (revision === undefined) throw new Error(`the id ${id} was let through and is none`)
  return { revision: Number(revision), position: Math.min(Number(position), endPosition) }
}

/** The first revision of which something may follow a place. */
export function nextRevision({ revision, position }: WriteAt): number {
  return position < endPosition ? revision : revision + 1
}

/** Some writes of a namespace behind a place, as they were found at one moment. */
export interface HistoryWindow<Write extends WriteAt> {
  /** The newest revision then. */
  newest: number
  /** The last write that was looked at, with whatever key; undefined where the history ends before that. */
  lastSeen: WriteAt | undefined
  /** Those whose key begins with the prefix, the one held back first; `next` is the revision of the next such write in the window. */
  writes: readonly (Write & { next: number | null })[]
}

/** A write to be sent. */
export interface SentWrite<Write> {
  write: Write
  id: string
  /** Whether further writes of its revision follow that the watcher wants. */
  hasMore: boolean
}

/**
 * What of a window is sent, and where a watcher is then. The last write of a revision must be known as such when it is
 * sent, so it is held back while further writes of its revision may lie behind the window. Pure.
 */
export function cutWindow<Write extends WriteAt>(
  { prefix, position: seenTo, held }: WatchPlace,
  { newest, lastSeen, writes }: HistoryWindow<Write>,
): { sent: SentWrite<Write>[]; place: WatchPlace } {
  const last = writes.at(-1)
  // Only a part of what was found was read.
  const isCut = last !== undefined && last.next !== null
  const isHeld = !isCut && last !== undefined && lastSeen?.revision === last.revision
  const sent = (isHeld ? writes.slice(0, -1) : writes).map((write) => {
    const { revision, position, next } = write
    const hasMore = next === revision
    return { write, id: hasMore ? `${revision}.${position}` : String(revision), hasMore }
  })
  if (isCut) {
    const { revision } = last
    if (last.next !== revision) return { sent, place: { prefix, revision, position: endPosition } }
    // Behind one that was held back all was looked at already.
    const isOld = writes.length === 1 && held !== undefined
    return { sent, place: { prefix, revision, position: isOld ? seenTo : last.position } }
  }
  const seen = lastSeen ?? { revision: newest, position: endPosition }
  return { sent, place: { prefix, ...seen, held: isHeld ? last.position : undefined } }
}
