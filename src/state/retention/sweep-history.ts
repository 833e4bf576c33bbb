import type { Db, Tx } from '../../database/connect.ts'
import { inTransaction } from '../../database/transaction.ts'
import type { Progress } from '../../maintenance/queries.ts'
import type { Sweep } from '../../maintenance/sweeper.ts'
import {
  claimSweep,
  countToSweep,
  deleteArchived,
  findAged,
  findToSweep,
  forgetDeleted,
  type HistoryBounds,
  raiseHistory,
  removeReplaced,
  updateSwept,
} from './queries.ts'

/** Writes that one transaction looks at, and of which it removes about as many, at most. */
const writesMaxByDefault = 1000
/** For each of them, writes among which it is looked for those that have come of age at most. */
const agedFactor = 10

/** What the history of namespaces keeps no longer, from all namespaces in turn. */
export function replacedWrites(
  db: Db,
  { pollMs, writesMax = writesMaxByDefault }: { pollMs: number; writesMax?: number },
): Sweep {
  const pass = startPass(db, { archivesOnly: false, writesMax })
  return {
    what: 'state history',
    sweep: async () => ((await pass.step()) === undefined ? 0 : 1),
    pauseMs: pollMs,
  }
}

/** Does all that there is to do, or what is archived of it, and tells how many writes it has looked at. */
export async function* sweepHistory(
  db: Db,
  { archivesOnly }: { archivesOnly: boolean },
): AsyncGenerator<Progress> {
  const total = await countToSweep(db, archivesOnly)
  yield { done: 0, total }
  const pass = startPass(db, { archivesOnly, writesMax: writesMaxByDefault })
  let done = 0
  for (let walked = await pass.step(); walked !== undefined; walked = await pass.step()) {
    done += walked
    // What it would have to look at again and again while it is written is not counted before.
    yield { done, total: Math.max(done + 1, total) }
  }
  yield { done, total: done }
}

/**
 * Goes through the namespaces in turn, a transaction for each, again and again while there was more than that to do
 * somewhere. A step answers how many writes it has looked at; undefined when all is done, and begins anew then.
 */
function startPass(
  db: Db,
  { archivesOnly, writesMax }: { archivesOnly: boolean; writesMax: number },
): { step: () => Promise<number | undefined> } {
  let after = 0
  let hasMore = false
  return {
    async step() {
      const id = await findToSweep(db, { after, archivesOnly })
      if (id === undefined) {
        const goesOn = hasMore
        after = 0
        hasMore = false
        return goesOn ? 0 : undefined
      }
      after = id
      await inTransaction(db, (tx) => raise(tx, id, writesMax))
      const walked = await inTransaction(db, (tx) => walk(tx, id, writesMax))
      hasMore ||= walked === undefined || walked === writesMax
      return walked ?? 0
    },
  }
}

/** Lets the history begin as late as the limits say, which refuses older reads from then on. */
async function raise(tx: Tx, namespaceId: number, writesMax: number): Promise<void> {
  const bounds = await claimSweep(tx, namespaceId)
  if (bounds === undefined || bounds.hasStaleArchive) return
  const to = await newBeginning(tx, { namespaceId, ...bounds }, writesMax * agedFactor)
  if (to > bounds.historyFrom) await raiseHistory(tx, namespaceId, to)
}

async function newBeginning(
  tx: Tx,
  bounds: HistoryBounds & { namespaceId: number },
  agedMax: number,
): Promise<number> {
  const { namespaceId, revision, historyFrom, retentionAgeMs: ageMs, retentionRevisions } = bounds
  const byCount = retentionRevisions === null ? historyFrom : revision - retentionRevisions
  const after = Math.max(historyFrom, byCount)
  if (ageMs === null) return after
  return (await findAged(tx, { namespaceId, after, ageMs }, agedMax)) ?? after
}

/**
 * Removes what the next writes have replaced, and deletions that are behind the history; answers how many writes it has
 * looked at. An archive that can no longer tell the whole goes first, and then nothing is answered: it has puts whose
 * deletions it will never have.
 */
async function walk(tx: Tx, namespaceId: number, writesMax: number): Promise<number | undefined> {
  const bounds = await claimSweep(tx, namespaceId)
  if (bounds === undefined) return 0
  if (bounds.hasStaleArchive) {
    await deleteArchived(tx, namespaceId, writesMax)
    return undefined
  }
  const writes = await removeReplaced(tx, namespaceId, bounds, writesMax)
  const last = writes.at(-1)
  if (last === undefined) return 0
  const deletions = writes.filter(
    ({ kind, revision }) => kind !== 'put' && revision < bounds.historyFrom,
  )
  // From here on to the commit writers wait.
  await updateSwept(tx, namespaceId, last)
  const archives = bounds.archiveFrom !== null
  await forgetDeleted(tx, namespaceId, { deletions, archives })
  return writes.length
}
