import { sql } from 'kysely'
import type { Tx } from '../database/connect.ts'
import { isBacked } from './advisory/queries.ts'
import type { Fence, FencedLock } from './fences.ts'
import { keyOf } from './rows.ts'

/** The locks of fences, as they were locked. */
export interface LockedFences {
  locks: FencedLock[]
  /** The locks that another transaction has, by `keyOf`. */
  held: string[]
}

/** A holder of a lock; a lock that nobody holds has one row without. */
interface HolderRow extends Pick<FencedLock, 'kind' | 'name' | 'lastToken'> {
  id: number
  token: number | null
  mode: 'exclusive' | 'shared' | null
}

/**
 * Locks the locks of fences in the order of their ids, so that nobody else is granted one before the transaction ends,
 * and tells who holds them. With `skipHeld` it passes by those that are being granted. What does not exist is left out.
 */
export async function lockFences(
  tx: Tx,
  fences: readonly Fence[],
  { skipHeld }: { skipHeld: boolean },
): Promise<LockedFences> {
  if (fences.length === 0) return { locks: [], held: [] }
  const asked = [...new Map(fences.map((fence) => [keyOf(fence), fence])).values()]
  const named = sql`unnest(
      ${asked.map(({ kind }) => kind)}::text[],
      ${asked.map(({ name }) => name)}::text[]) as f (kind, name)
    join locks l on l.kind = f.kind and l.name = f.name`
  const locking = sql<{ id: number }>`
    select l.id from ${named}
    order by l.id
    for share of l ${skipHeld ? sql`skip locked` : sql``}`.execute(tx)
  // A statement of its own sees what the holder of the row before has committed.
  const reading = sql<HolderRow>`
    select l.id, l.kind, l.name, l.token as "lastToken", h.token, h.mode
    from ${named}
    left join lock_holders h on h.lock_id = l.id and h.expires_at > clock_timestamp()
      and ${isBacked(sql`h`)}`.execute(tx)
  const [locked, found] = await Promise.all([locking, reading])
  const ids = new Set(locked.rows.map(({ id }) => id))
  const locks = [...Map.groupBy(found.rows, ({ id }) => id)].flatMap(([id, [first, ...others]]) =>
    first === undefined ? [] : { id, ...toLock(first, [first, ...others]) },
  )
  return {
    locks: locks.filter(({ id }) => ids.has(id)),
    held: skipHeld ? locks.filter(({ id }) => !ids.has(id)).map(keyOf) : [],
  }
}

function toLock({ kind, name, lastToken }: HolderRow, rows: readonly HolderRow[]): FencedLock {
  const holders = rows.flatMap(({ token, mode }) =>
    token === null || mode === null ? [] : { token, mode },
  )
  return { kind, name, lastToken, holders }
}
