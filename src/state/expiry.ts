import type { Committer } from '../commits/committer.ts'
import type { Verdict } from '../commits/unit.ts'
import type { Db } from '../database/connect.ts'
import type { Sweep } from '../maintenance/sweeper.ts'
import { type ExpiredEntry, listExpired } from './expiry-queries.ts'

/** What the removal of expired entries needs. */
export interface ExpiryContext {
  db: Db
  committer: Pick<Committer, 'submit'>
  pollMs: number
}

/** Entries that are removed at one revision at most. */
const entriesMax = 500

/**
 * Entries whose time is over, the oldest first. They are gone for every reader already; what is written is the event
 * that tells so. Several servers may do this at once: whose operation comes second finds the entry gone and does nothing.
 */
export function expiredEntries({ db, committer, pollMs }: ExpiryContext): Sweep {
  /** Namespaces that could not be written to since the last pause. */
  const resting = new Set<number>()
  return {
    what: 'expired state entries',
    sweep: async () => {
      const entries = await listExpired(db, { except: [...resting], limit: entriesMax })
      const groups = [...Map.groupBy(entries, ({ namespaceId }) => namespaceId).values()]
      const results = await Promise.allSettled(groups.map((group) => expire(committer, group)))
      const failures = results.filter((result) => result.status === 'rejected')
      for (const [index, { status }] of results.entries()) {
        const id = groups[index]?.[0]?.namespaceId
        if (status === 'rejected' && id !== undefined) resting.add(id)
      }
      if (failures.length === results.length) resting.clear()
      if (failures.length > 0 && failures.length === results.length) throw failures[0]?.reason
      return results.reduce((sum, one) => sum + (one.status === 'fulfilled' ? one.value : 0), 0)
    },
    pauseMs: pollMs,
  }
}

/** Removes entries of one namespace at one revision; answers how many there still were. */
async function expire(
  committer: Pick<Committer, 'submit'>,
  entries: readonly ExpiredEntry[],
): Promise<number> {
  const [first] = entries
  if (first === undefined) return 0
  const { namespaceId, namespace } = first
  const operations = entries.map(({ key, version }) => ({ kind: 'expire' as const, key, version }))
  let removed = 0
  await committer.submit({
    parts: [],
    state: [{ namespaceId, namespace, operations, isAtomic: false }],
    answer: (verdict) => {
      removed = countRemoved(verdict)
      return { status: 204, headers: {}, body: '' }
    },
  })
  return removed
}

function countRemoved(verdict: Verdict): number {
  if (verdict.kind === 'refused') return 0
  return verdict.state
    .flatMap(({ results }) => results)
    .filter((result) => result.kind === 'expire' && result.version !== undefined).length
}
