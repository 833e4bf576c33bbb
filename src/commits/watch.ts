import type { Db } from '../database/connect.ts'
import { eventText } from '../http/server-sent-events.ts'
import { SharedText } from '../http/shared-text.ts'
import { Problem } from '../problems.ts'
import { listProgress } from '../tables/queries.ts'
import { createPages, type FeedPage } from '../watch/pages.ts'
import type { TakeTurn } from '../watch/turns.ts'
import { createWatch, type Watch, type WatchOptions } from '../watch/watch.ts'
import { summaryText } from './commit-json.ts'
import { historyNotAvailable, listCommitsAfter } from './history.ts'

/** Sends the commits of tables to those who watch them. A place is the last version that was sent. */
export type CommitWatch = Watch<TableProgress, number>

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

const commitsMax = 2000
const bytesMax = 256 * 1024

/** Watches tables: their commits in the order of versions, and their end. */
export function createCommitWatch({
  db,
  takeTurn,
  ...options
}: { db: Db; takeTurn: TakeTurn } & Omit<
  WatchOptions<TableProgress, number>,
  'kind'
>): CommitWatch {
  const { pageAt } = createPages<number>(takeTurn)

  async function readPage(tableId: string, after: number): Promise<FeedPage<number>> {
    const commits = await listCommitsAfter(db, tableId, { after, limit: commitsMax, bytesMax })
    const events = commits.map((commit) =>
      eventText({ event: 'commit', id: String(commit.version), data: summaryText(commit) }),
    )
    return { text: new SharedText(events.join('')), place: commits.at(-1)?.version ?? after }
  }

  return createWatch({
    ...options,
    kind: {
      name: 'commits',
      listProgress: (ids) => listProgress(db, ids),
      newest: ({ version }) => version,
      pageBehind({ id, version, droppedAt }, after) {
        if (after < version) return pageAt(`${id}/${after}`, () => readPage(id, after))
        return droppedAt === null ? undefined : endOf(id, { droppedAt, after })
      },
    },
  })
}

async function endOf(
  tableId: string,
  { droppedAt, after }: { droppedAt: string; after: number },
): Promise<FeedPage<number>> {
  const data = JSON.stringify({ tableId, droppedAt })
  return {
    text: new SharedText(eventText({ event: 'dropped', data })),
    place: after,
    isLast: true,
  }
}
