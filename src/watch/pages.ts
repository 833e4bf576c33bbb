import type { SharedText } from '../http/shared-text.ts'

/** What follows a place of a feed. */
export interface FeedPage<Place> {
  /** The events; undefined where there are none that the watcher wants. */
  text?: SharedText | undefined
  /** Where a watcher is that has got them. */
  place: Place
  /** Whether nothing can follow, so that the stream ends. */
  isLast?: boolean
}

const readsAtOnceMax = 2
const pagesKeptMax = 16
/** A larger page is read again for whoever comes to its place later. */
const keptBytesMax = 1024 * 1024

/** Reads pages of feeds, which readers at the same place share. All of them together take few connections of the pool. */
export function createPages<Place>() {
  const pages = new Map<string, Promise<FeedPage<Place>>>()
  const takeTurn = createTurns(readsAtOnceMax)

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

/** Lets so many works run at once; the others wait for their turn, in order. */
function createTurns(max: number) {
  const waiting: (() => void)[] = []
  let running = 0
  return async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (running < max) running += 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
