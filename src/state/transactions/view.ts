import type { Db, Tx } from '../../database/connect.ts'
import { type AskedEntry, findEntries } from '../queries.ts'
import { type EntryPage, type KeyRange, listEntries, type PageLimits } from '../read-queries.ts'
import type { EntryRow } from '../rows.ts'
import { findClock, findRevision } from './queries.ts'

/** What a transaction sees of what others have committed. */
export interface View {
  /** The newest writes of keys, deleted and expired ones too, and the time at which they are judged. */
  find: (asked: readonly AskedEntry[]) => Promise<{ entries: EntryRow[]; now: number }>
  /** Entries of a namespace that are there, by key. */
  list: (range: KeyRange & { namespaceId: number }, limits: PageLimits) => Promise<EntryPage>
  /** The revision of a namespace. */
  revision: (namespaceId: number) => Promise<number>
  /** Lets go of the connection, if there is one. */
  close: () => Promise<void>
}

/** Each read sees what is committed then. */
export function newestView(db: Db): View {
  return {
    async find(asked) {
      const [now, entries] = await Promise.all([findClock(db), findEntries(db, asked)])
      return { entries, now }
    },
    list: (range, limits) => listEntries(db, range, limits),
    revision: (namespaceId) => findRevision(db, namespaceId),
    close: async () => {},
  }
}

/** All reads see what was committed at the first of them, from which on a connection is held. */
export function pinnedView(pinDb: Db): View {
  let pinned: ReturnType<typeof pin> | undefined

  async function use<Result>(read: (tx: Tx, now: number) => Promise<Result>): Promise<Result> {
    pinned ??= pin(pinDb)
    const { tx, now } = await pinned
    return read(tx, now)
  }

  return {
    find: (asked) => use(async (tx, now) => ({ entries: await findEntries(tx, asked), now })),
    list: (range, limits) => use((tx, at) => listEntries(tx, { ...range, at }, limits)),
    revision: (namespaceId) => use((tx) => findRevision(tx, namespaceId)),
    async close() {
      // One that was lost is let go of all the same.
      await pinned?.then(({ tx }) => tx.rollback().execute()).catch(() => {})
    },
  }
}

async function pin(pinDb: Db) {
  const tx = await pinDb
    .startTransaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute()
  try {
    return { tx, now: await findClock(tx) }
  } catch (error) {
    await tx
      .rollback()
      .execute()
      .catch(() => {})
    throw error
  }
}
