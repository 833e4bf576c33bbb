import { sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import type { NamespaceHistory } from './history-rules.ts'
import { times } from './queries.ts'
import type { EntryRow, EntryValue } from './rows.ts'
import type { ToldWrite } from './watch-queries.ts'

/** What is known of the past of a namespace, if there is one of this name. */
export async function findNamespaceHistory(
  db: Db,
  namespace: string,
): Promise<NamespaceHistory | undefined> {
  const { rows } = await sql<NamespaceHistory>`
    select id as "namespaceId", namespace, revision, history_from as "historyFrom",
      archive_from as "archiveFrom"
    from state_namespaces where namespace = ${namespace}`.execute(db)
  return rows[0]
}

/** A key of a namespace. */
export interface KeyPlace {
  namespaceId: number
  key: string
}

/** How much of a list is read: so many at most, and no more than these bytes of values but for the last. */
export interface ReadLimits {
  limit: number
  bytesMax: number
}

type Flat<Row> = Omit<Row, 'value'> & Record<keyof EntryValue, unknown>

const valueSize = sql`coalesce(octet_length(json), octet_length(bytes), 0)`

const writeColumns = sql`
      revision, position, key, version, kind, is_new as "isNew", json,
      content_type as "contentType", bytes, metadata::text as metadata, ${times()}`

/** The writes of a key that history and archive still have, newest first, those before a revision. */
export async function listKeyWrites(
  db: Db,
  { namespaceId, key, before }: KeyPlace & { before: number | undefined },
  { limit, bytesMax }: ReadLimits,
): Promise<{ writes: ToldWrite[]; hasMore: boolean }> {
  const some = (table: string) => sql`(
        select * from ${sql.table(table)}
        where namespace_id = ${namespaceId} and key = ${key}
          and revision < ${before ?? Number.MAX_SAFE_INTEGER}::bigint
        order by revision desc
        limit ${limit + 1}
      )`
  const { rows } = await sql<Flat<ToldWrite> & { found: number }>`
    select ${writeColumns}, found
    from (
      select *, count(*) over () as found,
        sum(${valueSize}) over (order by revision desc) - ${valueSize} as size_before
      from (${some('state_history')} union all ${some('state_archive')}) as writes
    ) as page
    where size_before < ${bytesMax}
    order by revision desc
    limit ${limit}`.execute(db)
  return {
    writes: rows.map(({ found: _found, ...row }) => withValue(row)),
    hasMore: (rows[0]?.found ?? 0) > rows.length,
  }
}

const entryColumns = sql`
      namespace_id as "namespaceId", key, version, revision, false as "isDeleted", json,
      content_type as "contentType", bytes, metadata::text as metadata, ${times()}`

/** When a revision was written. Each of the two tables has its newest write up to then at hand. */
function writtenAt(namespaceId: number, revision: number) {
  const newest = (table: string) => sql`(
        select updated_at from ${sql.table(table)}
        where namespace_id = ${namespaceId} and revision <= ${revision}
        order by revision desc
        limit 1
      )`
  return sql`select greatest(${newest('state_history')}, ${newest('state_archive')}) as moment`
}

/** The newest write of a key, which `key` names in SQL, up to a revision. */
function newestWrite(namespaceId: number, key: ReturnType<typeof sql>, revision: number) {
  const newest = (table: string) => sql`(
        select * from ${sql.table(table)} h
        where h.namespace_id = ${namespaceId} and h.key = ${key} and h.revision <= ${revision}
        order by h.revision desc
        limit 1
      )`
  return sql`
      select * from (${newest('state_history')} union all ${newest('state_archive')}) as newest
      order by revision desc
      limit 1`
}

const wasThere = sql`kind = 'put' and (expires_at is null or expires_at > moment)`

/** The entry as it was right when a revision was written, if it was there. The revision must be one that is known whole. */
export async function findEntryAt(
  db: Db,
  { namespaceId, key, revision }: KeyPlace & { revision: number },
): Promise<EntryRow | undefined> {
  const { rows } = await sql<Flat<EntryRow>>`
    select ${entryColumns}
    from (${writtenAt(namespaceId, revision)}) as written,
      (${newestWrite(namespaceId, sql`${key}`, revision)}) as entry
    where ${wasThere}`.execute(db)
  return rows.map(withValue)[0]
}

/** A range of keys: from `from` on, before `to`, those behind `after` alone. */
export interface PastRange {
  namespaceId: number
  revision: number
  from: string
  to: string | undefined
  after: string | undefined
}

/** Some entries as they were, and the last key that was looked at where there are more. */
export interface PastPage {
  entries: EntryRow[]
  next: string | undefined
}

/**
 * The entries of a range as they were right when a revision was written, by key. `limit` keys are looked at, so there may
 * be fewer entries, even none, although there are more behind `next`. The revision must be one that is known whole.
 */
export async function listEntriesAt(
  db: Db,
  { namespaceId, revision, from, to, after }: PastRange,
  { limit, bytesMax }: ReadLimits,
): Promise<PastPage> {
  const end = to === undefined ? sql`true` : sql`h.key < ${to}`
  const first = after === undefined ? sql`h.key >= ${from}` : sql`h.key > ${after}`
  const next = (table: string, behind: ReturnType<typeof sql>) => sql`(
        select h.key from ${sql.table(table)} h
        where h.namespace_id = ${namespaceId} and ${behind} and ${end}
        order by h.key
        limit 1
      )`
  const nextKey = (behind: ReturnType<typeof sql>) =>
    sql`least(${next('state_history', behind)}, ${next('state_archive', behind)})`
  const { rows } = await sql<
    Flat<EntryRow> & { key: string | null; seen: string; isThere: boolean; isLast: boolean }
  >`
    with recursive keys (key, number) as (
      select ${nextKey(first)}, 1
      union all
      select ${nextKey(sql`h.key > keys.key`)}, number + 1
      from keys where keys.key is not null and number <= ${limit}
    ), found as (
      select k.key as seen, number, entry.*, coalesce(${wasThere}, false) as is_there
      from keys k
      cross join (${writtenAt(namespaceId, revision)}) as written
      left join lateral (${newestWrite(namespaceId, sql`k.key`, revision)}) as entry on true
      where k.key is not null
    ), sized as (
      select *, count(*) over () as keys,
        sum(case when is_there then ${valueSize} else 0 end) over (order by number)
          - case when is_there then ${valueSize} else 0 end as size_before
      from found
    ), page as (
      select * from sized where number <= ${limit} and size_before < ${bytesMax}
    )
    select ${entryColumns}, seen, is_there as "isThere", number = keys as "isLast"
    from page
    where is_there or number = (select max(number) from page)
    order by number`.execute(db)
  const last = rows.at(-1)
  return {
    entries: rows.flatMap(({ isThere, seen: _seen, isLast: _isLast, ...row }) =>
      isThere ? withValue(row) : [],
    ),
    next: last === undefined || last.isLast ? undefined : last.seen,
  }
}

function withValue<Row extends Record<keyof EntryValue, unknown>>(row: Row) {
  const { json, contentType, bytes, ...rest } = row
  return { ...rest, value: { json, contentType, bytes } as EntryValue }
}
