import type { SharedText } from '../http/shared-text.ts'
import type { TakeTurn } from './turns.ts'

/** What follows a place of a feed. */
export interface FeedPage<Place> {
  /** The events; undefined where there are none that the watcher wants. */
  text?: SharedText | undefined
  /** Where a watcher is that has got them. */
  place: Place
  /** Whether nothing can follow, so that the stream ends. */
  isLast?: boolean
}

const pagesKeptMax = 16
/** A larger page is read again for whoever comes to its place later. */
const keptBytesMax = 1024 * 1024

/** Reads pages of feeds, each in its turn; readers at the same place share one. */
export function createPages<Place>(takeTurn: TakeTurn) {
  const pages = new Map<string, Promise<FeedPage<Place>>>()

  return {
    /** The page at a place that has this name, which `read` reads unless it is known. */
    pageAt(name: string, read: () => Promise<FeedPage<Place>>): Promise<FeedPage<Place>> {
      const known = pages.get(name)
      if (known !== undefined) return known
      const page = takeTurn(read)
      pages.set(name, page)
      const forget = () => pages.delete(name)
      page.then(({ text }) => {
        if (text !== undefined && text.plain.length > keptBytesMax) forget()
      }, forget)
      const [oldest] = pages.keys()
      if (oldest !== undefined && pages.size > pagesKeptMax) pages.delete(oldest)
      return page
    },
  }
}
