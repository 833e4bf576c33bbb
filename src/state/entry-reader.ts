import type { Db } from '../database/connect.ts'
import { type EntryPlace, findLiveEntries } from './read-queries.ts'
import type { EntryRow } from './rows.ts'

/** Reads single entries, many in one statement. */
export interface EntryReader {
  /** The entry as it is now, if it is there. */
  read: (place: EntryPlace) => Promise<EntryRow | undefined>
}

interface Waiting extends EntryPlace {
  resolve: (entry: EntryRow | undefined) => void
  reject: (error: unknown) => void
}

const statementsMax = 2
const keysMax = 500

/**
 * While statements are under way the next one gathers. A read sees all that was committed before it was asked for: its
 * statement begins later.
 */
export function createEntryReader(db: Db): EntryReader {
  const waiting: Waiting[] = []
  let underWay = 0
  let isWoken = false

  function wake(): void {
    if (isWoken || underWay >= statementsMax || waiting.length === 0) return
    isWoken = true
    // All that arrives in this turn of the event loop may go into the same statement.
    setImmediate(() => {
      isWoken = false
      underWay += 1
      void readAll(waiting.splice(0, keysMax)).finally(() => {
        underWay -= 1
        wake()
      })
      wake()
    })
  }

  async function readAll(asked: readonly Waiting[]): Promise<void> {
    const nameOf = ({ namespaceId, key }: EntryPlace) => `${namespaceId}/${key}`
    const places = new Map(asked.map((one) => [nameOf(one), one]))
    try {
      const found = await findLiveEntries(db, [...places.values()])
      const entries = new Map(found.map((entry) => [nameOf(entry), entry]))
      for (const one of asked) one.resolve(entries.get(nameOf(one)))
    } catch (error) {
      for (const one of asked) one.reject(error)
    }
  }

  return {
    read: (place) =>
      new Promise((resolve, reject) => {
        waiting.push({ ...place, resolve, reject })
        wake()
      }),
  }
}
