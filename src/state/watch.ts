import type { Db } from '../database/connect.ts'
import { eventText } from '../http/server-sent-events.ts'
import { SharedText } from '../http/shared-text.ts'
import { createPages, type FeedPage } from '../watch/pages.ts'
import type { TakeTurn } from '../watch/turns.ts'
import { createWatch, type Watch, type WatchOptions } from '../watch/watch.ts'
import {
  listNamespaceProgress,
  readWindow,
  type ToldWrite,
  type WindowLimits,
} from './watch-queries.ts'
import {
  cutWindow,
  endPosition,
  type NamespaceProgress,
  nextRevision,
  type SentWrite,
  type WatchPlace,
} from './watch-rules.ts'
import { eventData } from './write-json.ts'

/** Sends the writes to namespaces to those who watch them. */
export type StateWatch = Watch<NamespaceProgress, WatchPlace>

const limits: WindowLimits = { writesMax: 2000, bytesMax: 256 * 1024 }

/**
 * Watches namespaces: their writes in the order of revisions, in pages of bounded size. Of a namespace whose history has
 * gone on without a watcher the stream ends.
 */
export function createStateWatch({
  db,
  takeTurn,
  ...options
}: { db: Db; takeTurn: TakeTurn } & Omit<
  WatchOptions<NamespaceProgress, WatchPlace>,
  'kind'
>): StateWatch {
  const { pageAt } = createPages<WatchPlace>(takeTurn)
  return createWatch({
    ...options,
    kind: {
      name: 'writes to the state',
      listProgress: (namespaces) => listNamespaceProgress(db, namespaces),
      newest: ({ revision }) => revision,
      pageBehind({ id, revision }, place) {
        if (nextRevision(place) > revision) return undefined
        const { prefix, held, ...at } = place
        const name = JSON.stringify([id, prefix, at.revision, at.position, held])
        return pageAt(name, () => readPage(db, id, place))
      },
      bookmark: createBookmarks(),
    },
  })
}

async function readPage(
  db: Db,
  namespace: string,
  place: WatchPlace,
): Promise<FeedPage<WatchPlace>> {
  const window = await readWindow(db, { namespace, place }, limits)
  const { historyFrom } = window
  if (nextRevision(place) < historyFrom) {
    const data = JSON.stringify({ historyFrom })
    return { text: new SharedText(eventText({ event: 'compacted', data })), place, isLast: true }
  }
  const { sent, place: next } = cutWindow(place, window)
  const text = sent.length === 0 ? undefined : new SharedText(sent.map(writeEvent).join(''))
  return { text, place: next }
}

function writeEvent({ write, id, hasMore }: SentWrite<ToldWrite>): string {
  return eventText({ event: write.kind, id, data: eventData(write, hasMore) })
}

/** Makes bookmarks. Most watchers are at the same revision, and share one. */
function createBookmarks() {
  let newest: { revision: number; text: SharedText } | undefined
  return ({ revision, position }: WatchPlace): SharedText | undefined => {
    if (position < endPosition) return undefined
    if (newest?.revision !== revision) {
      const id = String(revision)
      const data = JSON.stringify({ revision })
      newest = { revision, text: new SharedText(eventText({ event: 'bookmark', id, data })) }
    }
    return newest.text
  }
}
