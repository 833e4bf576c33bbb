import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import type { FilePlace } from '../snapshots/queries.ts'

/**
 * For `copyOut`: all files that were live at `base` or added since, up to `version`: their place, the version that
 * removed them, and their add, in the order of files_pkey.
 */
export function livesSince(
  tableId: string,
  { base, version, after }: { base: number; version: number; after?: FilePlace | undefined },
): RawBuilder<unknown> {
  const { addedVersion, addedPosition } = after ?? { addedVersion: -1, addedPosition: 0 }
  return sql`
    select added_version, added_position, removed_version, add from files
    where table_id = ${sql.lit(tableId)}::uuid
      and (added_version, added_position) > (${sql.lit(addedVersion)}, ${sql.lit(addedPosition)})
      and added_version <= ${sql.lit(version)} and add is not null
      and (removed_version is null or removed_version > ${sql.lit(base)})
    order by added_version, added_position`
}

/** A life of a file, with its add as a log line. */
export interface Life extends FilePlace {
  removedVersion: number | null
  add: string
}

/** Lives that began from behind `after` up to `to`. Read in the order of files_pkey. */
export async function listBegun(
  db: Db,
  tableId: string,
  { after, to, limit }: { after: FilePlace; to: number; limit: number },
): Promise<Life[]> {
  const { rows } = await sql<Life>`
    select added_version as "addedVersion", added_position as "addedPosition",
      removed_version as "removedVersion", add
    from files
    where table_id = ${tableId}::uuid
      and (added_version, added_position) > (${after.addedVersion}, ${after.addedPosition})
      and added_version <= ${to} and add is not null
    order by added_version, added_position
    limit ${limit}`.execute(db)
  return rows
}

/** The end of a life. */
export interface LifeEnd extends FilePlace {
  removedVersion: number
}

/** Lives that ended from version `from` up to `to`, at most `limit` in no order. Found by files_removed_idx. */
export async function listEnded(
  db: Db,
  tableId: string,
  { from, to, limit }: { from: number; to: number; limit: number },
): Promise<LifeEnd[]> {
  const { rows } = await sql<LifeEnd>`
    select added_version as "addedVersion", added_position as "addedPosition",
      removed_version as "removedVersion"
    from files
    where table_id = ${tableId}::uuid and removed_version >= ${from} and removed_version <= ${to}
      and add is not null
    limit ${limit}`.execute(db)
  return rows
}

/** The files at these places, in their order, each with its add as a log line. Found by files_pkey. */
export async function listAdds(
  db: Db,
  tableId: string,
  places: readonly FilePlace[],
): Promise<(FilePlace & { add: string })[]> {
  if (places.length === 0) return []
  const { rows } = await sql<FilePlace & { add: string }>`
    select place.added_version as "addedVersion", place.added_position as "addedPosition", f.add
    from unnest(
      ${places.map((place) => place.addedVersion)}::bigint[],
      ${places.map((place) => place.addedPosition)}::integer[])
      with ordinality as place (added_version, added_position, number)
    join lateral (
      select add from files
      where table_id = ${tableId}::uuid
        and added_version = place.added_version and added_position = place.added_position
      offset 0
    ) f on true
    order by place.number`.execute(db)
  return rows
}
