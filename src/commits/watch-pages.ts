import type { Db } from '../database/connect.ts'
import { eventText } from '../http/server-sent-events.ts'
import { SharedText } from '../http/shared-text.ts'
import { summaryText } from './commit-json.ts'
import { listCommitsAfter } from './history.ts'

/** Commits of a table as events, and the version of the last of them. */
export interface EventPage {
  text: SharedText
  last: number
}

const commitsMax = 2000
const bytesMax = 256 * 1024
const readsAtOnceMax = 2
const pagesKeptMax = 16

/**
 * Reads commits as events, a bounded page at a time. Readers at the same place share a page, and all of them
 * together take no more than a few connections of the pool.
 */
export function createEventPages(db: Db) {
  const pages = new Map<string, Promise<EventPage>>()
  const takeTurn = createTurns(readsAtOnceMax)

  async function read(tableId: string, after: number): Promise<EventPage> {
    const commits = await takeTurn(() =>
      listCommitsAfter(db, tableId, { after, limit: commitsMax, bytesMax }),
    )
    const events = commits.map((commit) =>
      eventText({ event: 'commit', id: String(commit.version), data: summaryText(commit) }),
    )
    return { text: new SharedText(events.join('')), last: commits.at(-1)?.version ?? after }
  }

  return {
    /** The page behind version `after`, which must not be the newest. */
    pageAfter(tableId: string, after: number): Promise<EventPage> {
      const place = `${tableId}/${after}`
      const known = pages.get(place)
      if (known !== undefined) return known
      const page = read(tableId, after)
      pages.set(place, page)
      page.catch(() => pages.delete(place))
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
