import type { Db } from '../../database/connect.ts'
import type { EntryRow } from '../rows.ts'
import { type EntryFilter, findGround, listByMetadata, listUpTo } from './queries.ts'

/** Some of the entries that were looked for, and the key behind which to go on, if there may be more. */
export interface FoundEntries {
  entries: readonly EntryRow[]
  next: string | undefined
}

/** Bytes of values on a page at most, but for one entry. */
const bytesMax = 16 * 1024 * 1024
/** Entries that are looked at for each one that is wanted, where an index finds them if these are too few. */
const lookedAtFactor = 10
const lookedAtWithoutIndex = 20_000

/**
 * Finds entries by key. What is frequent is found by looking at the next entries one by one; what is rare, by the index over
 * metadata. Without that a page ends after so many entries, with few that fit or none.
 */
export async function findEntries(
  db: Db,
  filter: EntryFilter,
  limit: number,
): Promise<FoundEntries> {
  const { hasIndex, boundary } = await findGround(db, filter, {
    withIndex: lookedAtFactor * limit,
    withoutIndex: lookedAtWithoutIndex,
  })
  const near = await listUpTo(db, filter, { boundary, limit, bytesMax })
  if (near.hasMore) return { entries: near.entries, next: near.entries.at(-1)?.key }
  if (boundary === undefined) return { entries: near.entries, next: undefined }
  if (!hasIndex || filter.metadata === undefined) return { entries: near.entries, next: boundary }
  const { entries, hasMore } = await listByMetadata(db, filter, { limit, bytesMax })
  return { entries, next: hasMore ? entries.at(-1)?.key : undefined }
}
