import { sql } from 'kysely'
import type { DropUpdate, Head, Totals } from '../commits/rows.ts'
import type { Db, Tx } from '../database/connect.ts'
import { metadataOfLine } from '../delta/table-state.ts'
import { mirrorLagSql, mirrorStateSql } from '../mirror/queries.ts'
import type { MirrorRow } from '../mirror/rules.ts'
import { isTableId } from './rules.ts'

/** A row of `tables` with the state of its mirror. */
export interface TableRow
  extends MirrorRow,
    Totals,
    Pick<Head, 'rowIdHighWaterMark' | 'historyFrom' | 'commitsFrom'> {
  id: string
  name: string
  location: string
  version: number
  inCommitTimestamp: number
  protocol: string
  metadata: string
  createdAt: string
  droppedAt: string | null
}

const selectTables = (db: Db) =>
  db
    .selectFrom('tables as t')
    .innerJoin('mirrors as m', 'm.table_id', 't.id')
    .select([
      't.id',
      't.name',
      't.location',
      't.version',
      't.in_commit_timestamp as inCommitTimestamp',
      't.protocol',
      't.metadata',
      't.num_files as numFiles',
      't.size_in_bytes as sizeInBytes',
      't.num_records as numRecords',
      't.num_files_without_records as numFilesWithoutRecords',
      't.row_id_high_water_mark as rowIdHighWaterMark',
      't.history_from as historyFrom',
      't.commits_from as commitsFrom',
      't.created_at as createdAt',
      't.dropped_at as droppedAt',
      'm.published_version as publishedVersion',
      mirrorStateSql.as('mirrorState'),
      'm.last_error as lastError',
      'm.next_retry_at as nextRetryAt',
      'm.paused_at as pausedAt',
      'm.fork',
      mirrorLagSql.as('lagMs'),
    ])

/** The table of this id, dropped or not; or of this name, if not dropped. */
export function findTable(db: Db, table: string): Promise<TableRow | undefined> {
  const query = selectTables(db)
  const found = isTableId(table)
    ? query.where('t.id', '=', table)
    : query
        .where((eb) => eb(eb.fn('lower', ['t.name']), '=', table.toLowerCase()))
        .where('t.name', '=', table)
        .where('t.dropped_at', 'is', null)
  return found.executeTakeFirst()
}

/** The name of the table, not dropped, that has this name in whatever case. */
export async function findNameInAnyCase(db: Db, name: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('tables')
    .select('name')
    .where((eb) => eb(eb.fn('lower', ['name']), '=', name.toLowerCase()))
    .where('dropped_at', 'is', null)
    .executeTakeFirst()
  return row?.name
}

/** The names that tables, not dropped, have of these in whatever case. */
export async function findNamesInAnyCase(tx: Tx, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return []
  const { rows } = await sql<{ name: string }>`
    select name from tables
    where lower(name) = any(${names.map((name) => name.toLowerCase())}::text[])
      and dropped_at is null`.execute(tx)
  return rows.map(({ name }) => name)
}

/** How far tables have come, of those that there are. */
export function listProgress(
  db: Db,
  ids: readonly string[],
): Promise<{ id: string; version: number; commitsFrom: number; droppedAt: string | null }[]> {
  return db
    .selectFrom('tables')
    .select(['id', 'version', 'commits_from as commitsFrom', 'dropped_at as droppedAt'])
    .where(sql<boolean>`id = any(${ids}::uuid[])`)
    .execute()
}

/** Tables by name, then id, from behind `after`. */
export function listTables(
  db: Db,
  filter: { namePrefix?: string | undefined; dropped: boolean },
  page: { after: { name: string; id: string } | undefined; limit: number },
): Promise<TableRow[]> {
  const { namePrefix } = filter
  const { after, limit } = page
  return selectTables(db)
    .where('t.dropped_at', filter.dropped ? 'is not' : 'is', null)
    .$if(namePrefix !== undefined, (query) =>
      query.where((eb) => eb.fn<boolean>('starts_with', ['t.name', eb.val(namePrefix)])),
    )
    .$if(after !== undefined, (query) =>
      query.where(sql<boolean>`(t.name, t.id) > (${after?.name}, ${after?.id}::uuid)`),
    )
    .orderBy('t.name')
    .orderBy('t.id')
    .limit(limit)
    .execute()
}

/**
 * The tables of these ids, dropped or not, and of these names, if not dropped. Where all are named in one way, the
 * other is not asked for: with both, a plan from a time of few tables reads all of them.
 */
export function areNamed(tables: readonly string[]) {
  const ids = tables.filter(isTableId)
  const names = tables.filter((table) => !isTableId(table))
  const byId = sql<boolean>`id = any(${ids}::uuid[])`
  const byName = sql<boolean>`(lower(name) = any(${names.map((name) => name.toLowerCase())}::text[])
        and name = any(${names}::text[]) and dropped_at is null)`
  if (names.length === 0) return byId
  return ids.length === 0 ? byName : sql<boolean>`(${byId} or ${byName})`
}

/** Heads as they were locked. */
export interface LockedHeads {
  heads: Head[]
  /** Epoch milliseconds by the database's clock. */
  now: number
  /** Whether one of them had to be waited for and was changed meanwhile. */
  waited: boolean
  /** The tables of which there may be reservations. */
  reserved: string[]
}

/**
 * Locks the heads of tables, named by id or by name, in the order of their ids, so that two batches cannot wait
 * for each other. With `skipHeld` it waits for none, and passes by those that another transaction holds.
 */
export async function lockHeads(
  tx: Tx,
  tables: readonly string[],
  { skipHeld = false }: { skipHeld?: boolean } = {},
): Promise<LockedHeads> {
  if (tables.length === 0) return { heads: [], now: 0, waited: false, reserved: [] }
  // The columns of a row that was changed while it was waited for are computed anew, and so the clock is read anew.
  const { rows } = await sql<LockedRow>`
    select id, name, version, in_commit_timestamp as "inCommitTimestamp",
      protocol as "protocolJson", metadata as "metadataJson",
      row_id_high_water_mark as "rowIdHighWaterMark", num_files as "numFiles",
      size_in_bytes as "sizeInBytes", num_records as "numRecords",
      num_files_without_records as "numFilesWithoutRecords", history_from as "historyFrom",
      commits_from as "commitsFrom", dropped_at as "droppedAt", is_reserved as "isReserved",
      (extract(epoch from clock_timestamp()) * 1000)::bigint as now,
      clock_timestamp() - statement_timestamp() > interval '1 ms' as waited
    from tables
    where ${areNamed(tables)}
    order by id
    for update ${skipHeld ? sql`skip locked` : sql``}`.execute(tx)
  const heads = rows.map(({ now: _now, waited: _waited, isReserved: _isReserved, ...row }) => ({
    ...row,
    protocol: JSON.parse(row.protocolJson).protocol,
    metadata: metadataOfLine(row.metadataJson),
  }))
  return {
    heads,
    now: rows[0]?.now ?? 0,
    waited: rows.some(({ waited }) => waited),
    reserved: rows.flatMap(({ id, isReserved }) => (isReserved ? id : [])),
  }
}

interface LockedRow extends Omit<Head, 'protocol' | 'metadata'> {
  now: number
  waited: boolean
  isReserved: boolean
}

/** Those of the tables, named by id or by name, that there are, locked or not. */
export async function findExisting(tx: Tx, tables: readonly string[]): Promise<Set<string>> {
  return new Set((await findTableIds(tx, tables)).keys())
}

/** The ids of tables, named by id or by name, of those that there are. */
export async function findTableIds(
  db: Db,
  tables: readonly string[],
): Promise<Map<string, string>> {
  if (tables.length === 0) return new Map()
  const { rows } = await sql<{ id: string; name: string; isDropped: boolean }>`
    select id, name, dropped_at is not null as "isDropped"
    from tables where ${areNamed(tables)}`.execute(db)
  const ids = new Map(rows.map(({ id }) => [id, id]))
  for (const { id, name, isDropped } of rows) if (!isDropped) ids.set(name, id)
  return new Map(
    tables.flatMap((table) => {
      const id = ids.get(table)
      return id === undefined ? [] : [[table, id] as const]
    }),
  )
}

/** The head of a table, as it was when the row was read. */
export function headOf(row: TableRow): Head {
  const { protocol: protocolJson, metadata: metadataJson } = row
  return {
    ...row,
    protocolJson,
    metadataJson,
    protocol: JSON.parse(protocolJson).protocol,
    metadata: metadataOfLine(metadataJson),
  }
}

/** Moves heads that `lockHeads` has locked. What is new has to get to their logs. */
export async function updateHeads(tx: Tx, heads: readonly Head[]): Promise<void> {
  if (heads.length === 0) return
  await sql`
    update tables t set
      version = h.version, in_commit_timestamp = h.in_commit_timestamp, protocol = h.protocol,
      metadata = h.metadata, row_id_high_water_mark = h.row_id_high_water_mark, num_files = h.num_files, size_in_bytes = h.size_in_bytes,
      num_records = h.num_records, num_files_without_records = h.num_files_without_records,
      is_unsettled = true
    from unnest(
      ${heads.map((head) => head.id)}::uuid[],
      ${heads.map((head) => head.version)}::bigint[],
      ${heads.map((head) => head.inCommitTimestamp)}::bigint[],
      ${heads.map((head) => head.protocolJson)}::json[],
      ${heads.map((head) => head.metadataJson)}::json[],
      ${heads.map((head) => head.rowIdHighWaterMark)}::bigint[],
      ${heads.map((head) => head.numFiles)}::bigint[],
      ${heads.map((head) => head.sizeInBytes)}::bigint[],
      ${heads.map((head) => head.numRecords)}::bigint[],
      ${heads.map((head) => head.numFilesWithoutRecords)}::bigint[])
      as h (id, version, in_commit_timestamp, protocol, metadata, row_id_high_water_mark,
        num_files, size_in_bytes, num_records, num_files_without_records)
    where t.id = h.id`.execute(tx)
}

/** Lets one transaction at a time make, name or place tables, so that each sees what the one before made. */
export async function lockCatalog(tx: Tx): Promise<{ now: number }> {
  await sql`select pg_advisory_xact_lock(${catalogLock})`.execute(tx)
  const { rows } = await sql<{ now: number }>`
    select (extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(tx)
  return { now: rows[0]?.now ?? 0 }
}

const catalogLock = 4_919_871_002

/** A table, dropped or not, whose folder is this one, lies in it or has it inside. Found by tables_location_key. */
export function findTableAround(
  tx: Tx,
  location: string,
): Promise<{ name: string; location: string } | undefined> {
  const parents = location.split('/').map((_, index, parts) => parts.slice(0, index + 1).join('/'))
  return tx
    .selectFrom('tables')
    .select(['name', 'location'])
    .where((eb) =>
      eb.or([
        eb('location', 'in', parents),
        // "0" follows "/" in the order of the index.
        eb.and([eb('location', '>=', `${location}/`), eb('location', '<', `${location}0`)]),
      ]),
    )
    .executeTakeFirst()
}

export async function insertTable(tx: Tx, head: Head, location: string): Promise<void> {
  await tx
    .insertInto('tables')
    .values({
      id: head.id,
      name: head.name,
      location,
      version: head.version,
      in_commit_timestamp: head.inCommitTimestamp,
      protocol: head.protocolJson,
      metadata: head.metadataJson,
      row_id_high_water_mark: head.rowIdHighWaterMark,
      num_files: head.numFiles,
      size_in_bytes: head.sizeInBytes,
      num_records: head.numRecords,
      num_files_without_records: head.numFilesWithoutRecords,
      history_from: head.historyFrom,
      commits_from: head.commitsFrom,
    })
    .execute()
}

/** Marks locked tables as dropped, or as not; the time of the first drop stands. */
export async function setDropped(tx: Tx, drops: readonly DropUpdate[]): Promise<void> {
  if (drops.length === 0) return
  await sql`
    update tables t
    set dropped_at = case when d.is_dropped then coalesce(dropped_at, clock_timestamp()) end
    from unnest(
      ${drops.map(({ id }) => id)}::uuid[],
      ${drops.map(({ isDropped }) => isDropped)}::boolean[]) as d (id, is_dropped)
    where t.id = d.id`.execute(tx)
}
