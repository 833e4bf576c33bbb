import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../../database/connect.ts'
import { metadataIndexName } from '../namespaces/queries.ts'
import {
  type EntryPage,
  inRange,
  isThere,
  type KeyRange,
  type PageLimits,
  readEntryPage,
} from '../read-queries.ts'

/** Which entries of a namespace are looked for. */
export interface EntryFilter extends KeyRange {
  namespaceId: number
  /** As JSON. */
  metadata: string | undefined
  /** RFC 3339. */
  updatedAfter: string | undefined
}

/** How entries can be looked for from a place on. */
export interface SearchGround {
  hasIndex: boolean
  /** A key with many before it, up to which entries are looked at one by one; undefined where so many are not left. */
  boundary: string | undefined
}

/** How many entries are looked at one by one: few, where an index can find those that are rare. */
export interface LookedAt {
  withIndex: number
  withoutIndex: number
}

/** Finds whether the metadata have an index, and how far one statement may look without it. */
export async function findGround(
  db: Db,
  filter: EntryFilter,
  { withIndex, withoutIndex }: LookedAt,
): Promise<SearchGround> {
  const { rows } = await sql<{ hasIndex: boolean; boundary: string | null }>`
    with ground as materialized (
      select exists (
        select from pg_class c join pg_index i on i.indexrelid = c.oid
        where c.relnamespace = current_schema()::regnamespace and i.indisvalid
          and c.relname = ${metadataIndexName(sql.lit(filter.namespaceId))}
      ) as has_index
    )
    select has_index as "hasIndex", (
      select key from state_entries
      where namespace_id = ${filter.namespaceId} and ${inRange(filter)}
      order by key limit 1
      offset (select case when has_index then ${withIndex}::integer
        else ${withoutIndex}::integer end from ground)
    ) as boundary
    from ground`.execute(db)
  const [{ hasIndex, boundary } = { hasIndex: false, boundary: null }] = rows
  return { hasIndex, boundary: boundary ?? undefined }
}

/** Entries that fit, by key, of those up to a key; they are looked at one by one until the page is full. */
export function listUpTo(
  db: Db,
  filter: EntryFilter,
  { boundary, ...limits }: PageLimits & { boundary: string | undefined },
): Promise<EntryPage> {
  const upTo = boundary === undefined ? sql`true` : sql`key <= ${boundary}`
  return readEntryPage(db, sql`(${selection(filter)} and ${upTo})`, limits)
}

/**
 * Entries that fit, by key, found by their metadata. The planner must not know that few of them are wanted: it would
 * look for them one by one in the order of keys, in the hope that they are frequent.
 */
export function listByMetadata(
  db: Db,
  filter: EntryFilter,
  limits: PageLimits,
): Promise<EntryPage> {
  return readEntryPage(db, sql`(${selection(filter)} offset 0)`, limits)
}

/** The id of the namespace is a literal, by which the planner knows that the index of this namespace fits. */
function selection(filter: EntryFilter): RawBuilder<unknown> {
  const { namespaceId, metadata, updatedAfter } = filter
  const contains = metadata === undefined ? sql`true` : sql`metadata @> ${metadata}::jsonb`
  const isAfter =
    updatedAfter === undefined ? sql`true` : sql`updated_at > ${updatedAfter}::timestamptz`
  return sql`
      select * from state_entries
      where namespace_id = ${sql.lit(namespaceId)} and ${inRange(filter)}
        and ${contains} and ${isAfter} and ${isThere}`
}
