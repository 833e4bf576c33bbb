import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../database/connect.ts'

/** Two versions of a table, the first not above the second. */
export interface VersionSpan {
  tableId: string
  from: number
  to: number
}

/** What the files of a span come to. */
export interface FileChangeCounts {
  numAddedFiles: number
  numRemovedFiles: number
  /** As digits, for a sum may be above every long. */
  numAddedBytes: string
  numRemovedBytes: string
  /** Files that were replaced, live at both ends. */
  numReplacedFiles: number
}

/** The place of a change among those of its kind. */
export interface ChangePlace {
  x: number
  y: number
  z: number
}

/** A change as it is kept. */
export interface PlacedChange extends ChangePlace {
  /** Its log line; null where the log has none. */
  line: string | null
  /** Of a file that was removed without a line: its add, and when that was, in epoch milliseconds. */
  add?: string
  removedAt?: number
}

/** What `listChanges` reads behind a place. */
export interface ChangePage {
  after: ChangePlace
  limit: number
  /** Whether some files were replaced, so that they must be told apart from those removed and added. */
  hasReplaced: boolean
}

/** A life that goes on behind the span, of those that began after its first version. */
const goesOn = (life: string, { tableId, to }: VersionSpan) => {
  const of = (column: string) => sql.ref(`${life}.${column}`)
  return sql`${of('table_id')} = ${tableId}::uuid and ${of('add')} is not null
    and ${of('added_version')} <= ${to}
    and (${of('removed_version')} is null or ${of('removed_version')} > ${to})`
}

/** A life that began before the span or with it, of those that ended after its first version. */
const wasThere = (life: string, { tableId, from, to }: VersionSpan) => {
  const of = (column: string) => sql.ref(`${life}.${column}`)
  return sql`${of('table_id')} = ${tableId}::uuid and ${of('add')} is not null
    and ${of('removed_version')} <= ${to} and ${of('added_version')} <= ${from}`
}

const isAdded = (life: string, span: VersionSpan) =>
  sql`${goesOn(life, span)} and ${sql.ref(`${life}.added_version`)} > ${span.from}`

const isRemoved = (life: string, span: VersionSpan) =>
  sql`${wasThere(life, span)} and ${sql.ref(`${life}.removed_version`)} > ${span.from}`

/** Two lives of one file, by which Delta tells files apart. */
const isSameFile = sql`a.path = r.path and a.deletion_vector_id is not distinct from r.deletion_vector_id`

/** Counts the files added and removed between two versions; a file that came back as it was is neither. */
export async function countFileChanges(db: Db, span: VersionSpan): Promise<FileChangeCounts> {
  const { rows } = await sql<FileChangeCounts>`
    with replaced as (
      select count(*) as number, coalesce(sum(r.size), 0) as removed_bytes,
        count(*) filter (where a.add::text = r.add::text) as unchanged,
        coalesce(sum(a.size) filter (where a.add::text = r.add::text), 0) as unchanged_bytes
      from files a join files r on ${isSameFile}
      where ${isAdded('a', span)} and ${isRemoved('r', span)}
    ), added as (
      select count(*) as number, coalesce(sum(size), 0) as bytes from files a where ${isAdded('a', span)}
    ), removed as (
      select count(*) as number, coalesce(sum(size), 0) as bytes from files r where ${isRemoved('r', span)}
    )
    select (added.number - replaced.unchanged)::bigint as "numAddedFiles",
      (removed.number - replaced.number)::bigint as "numRemovedFiles",
      (added.bytes - replaced.unchanged_bytes)::text as "numAddedBytes",
      (removed.bytes - replaced.removed_bytes)::text as "numRemovedBytes",
      replaced.number::bigint as "numReplacedFiles"
    from added, removed, replaced`.execute(db)
  const [counts] = rows
  if (counts === undefined) throw new Error('an aggregate without a row')
  return counts
}

/**
 * Where each begins is said by its place alone: with the version besides, PostgreSQL would begin to read at the first
 * version of the span, not at the place.
 */
const sections: ((span: VersionSpan, page: ChangePage) => RawBuilder<PlacedChange>)[] = [
  // Actions that replace each other, those in force at the end. Read in the order of actions_pkey.
  ({ tableId, to }, { after: { x, y }, limit }) => sql`
    select version as x, position as y, 0 as z, action as line from actions
    where table_id = ${tableId}::uuid and key is not null and (version, position) > (${x}::bigint, ${y}::bigint)
      and version <= ${to} and (superseded_version is null or superseded_version > ${to})
    order by version, position limit ${limit}`,
  // Files removed by a line of the log. Read in the order of files_removed_idx.
  (span, { after: { x, y }, limit, hasReplaced }) => sql`
    select removed_version as x, removed_position as y, 0 as z, remove as line from files r
    where ${wasThere('r', span)} and removed_position is not null
      and (removed_version, removed_position) > (${x}::bigint, ${y}::bigint)
      and ${hasReplaced ? isGone(span) : sql`true`}
    order by removed_version, removed_position limit ${limit}`,
  // Files added anew, and not there at the end as they were.
  (span, { after: { x, y, z }, limit, hasReplaced }) => sql`
    select removed_version as x, added_version as y, added_position as z, null as line, add,
      (select in_commit_timestamp from commits
        where table_id = r.table_id and version = r.removed_version) as "removedAt"
    from files r
    where ${wasThere('r', span)} and removed_position is null and removed_version >= ${x}::bigint
      and (removed_version, added_version, added_position) > (${x}::bigint, ${y}::bigint, ${z}::bigint)
      and ${hasReplaced ? isGone(span) : sql`true`}
    order by removed_version, added_version, added_position limit ${limit}`,
  // Files added. Read in the order of files_pkey.
  (span, { after: { x, y }, limit, hasReplaced }) => sql`
    select added_version as x, added_position as y, 0 as z, add as line from files a
    where ${goesOn('a', span)} and (added_version, added_position) > (${x}::bigint, ${y}::bigint)
      and ${hasReplaced ? isNew(span) : sql`true`}
    order by added_version, added_position limit ${limit}`,
]

const isGone = (span: VersionSpan) =>
  sql`not exists (select from files a where ${isAdded('a', span)} and ${isSameFile})`

const isNew = (span: VersionSpan) =>
  sql`not exists (select from files r
    where ${isRemoved('r', span)} and ${isSameFile} and a.add::text = r.add::text)`

/** Kinds of changes: actions that replace each other, files removed in two ways, files added. */
export const sectionsCount = sections.length

/** The place before all changes of a span, in every section. */
export function beforeChanges({ from }: VersionSpan): ChangePlace {
  return { x: from, y: 2 ** 31 - 1, z: 0 }
}

/** The next changes of a kind, in the order of their places. */
export async function listChanges(
  db: Db,
  span: VersionSpan,
  { section, ...page }: ChangePage & { section: number },
): Promise<PlacedChange[]> {
  const query = sections[section]
  if (query === undefined) return []
  const after = page.after.x < span.from ? beforeChanges(span) : page.after
  const { rows } = await query(span, { ...page, after }).execute(db)
  return rows
}
