import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import { type FlatEntry, instantOf, times, toEntry } from './queries.ts'
import type { EntryRow } from './rows.ts'

/** Whether an entry is there at a time, which SQL tells. */
const isThereAt = (time: RawBuilder<unknown>) =>
  sql`not is_deleted and (expires_at is null or expires_at > ${time})`

/** Whether an entry is there now. */
export const isThere = isThereAt(sql`clock_timestamp()`)

const columns = sql`
      namespace_id as "namespaceId", key, version, revision, is_deleted as "isDeleted", json,
      content_type as "contentType", bytes, metadata::text as metadata, ${times()}`

/** A key to be read. */
export interface EntryPlace {
  namespaceId: number
  key: string
}

/** The entries at these places that are there now. */
export async function findLiveEntries(db: Db, places: readonly EntryPlace[]): Promise<EntryRow[]> {
  const { rows } = await sql<FlatEntry>`
    select ${columns}
    from unnest(
      ${places.map(({ namespaceId }) => namespaceId)}::integer[],
      ${places.map(({ key }) => key)}::text[]) as asked (asked_id, asked_key)
    cross join lateral (
      select * from state_entries where namespace_id = asked_id and key = asked_key
    ) as e
    where ${isThere}`.execute(db)
  return rows.map(toEntry)
}

/** A range of keys: from `from` on, before `to`, those behind `after` alone. */
export interface KeyRange {
  from: string
  to: string | undefined
  after: string | undefined
}

/** Some entries of a range, and whether there are more behind them. */
export interface EntryPage {
  entries: EntryRow[]
  hasMore: boolean
}

/** So many entries on a page at most, and no more than these bytes of values but for one entry. */
export interface PageLimits {
  limit: number
  bytesMax: number
}

/** Entries of a namespace that are there now, or at a time in epoch milliseconds, by key. */
export function listEntries(
  db: Db,
  { namespaceId, at, ...range }: KeyRange & { namespaceId: number; at?: number },
  limits: PageLimits,
): Promise<EntryPage> {
  const source = sql`(
      select * from state_entries
      where namespace_id = ${namespaceId} and ${inRange(range)}
        and ${at === undefined ? isThere : isThereAt(instantOf(sql`${at}::bigint`))}
    )`
  return readEntryPage(db, source, limits)
}

/** Whether a key is in a range. */
export function inRange({ from, to, after }: KeyRange) {
  const start = after === undefined ? sql`key >= ${from}` : sql`key > ${after}`
  const end = to === undefined ? sql`true` : sql`key < ${to}`
  return sql`${start} and ${end}`
}

/** The first entries, by key, of those that a query finds. */
export async function readEntryPage(
  db: Db,
  source: RawBuilder<unknown>,
  { limit, bytesMax }: PageLimits,
): Promise<EntryPage> {
  const { rows } = await sql<FlatEntry & { found: number }>`
    select ${columns}, found
    from (
      select *, count(*) over () as found, sum(size) over (order by key) - size as before
      from (
        select *, coalesce(octet_length(json), octet_length(bytes)) as size
        from ${source} as source
        order by key
        limit ${limit + 1}
      ) as found_entries
    ) as page
    where before < ${bytesMax}
    order by key
    limit ${limit}`.execute(db)
  return { entries: rows.map(toEntry), hasMore: (rows[0]?.found ?? 0) > rows.length }
}
