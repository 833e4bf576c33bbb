import { type RawBuilder, sql } from 'kysely'

type Sql = RawBuilder<unknown>

/** JSON in which PostgreSQL looks up nothing: NUL, and halves of surrogate pairs, wherever they stand. */
const unreadable = sql.lit(String.raw`\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})`)

/** The row ids in the log line of an add, as a table `ids` to be joined: null where it tells none. */
export function rowIdsIn(add: Sql): Sql {
  return sql`lateral (
      select (readable #>> '{add,baseRowId}')::numeric as base_row_id,
        (readable #>> '{add,defaultRowCommitVersion}')::numeric as row_version
      from (
        select case when strpos(${add}::text, '\\u') = 0 then ${add}
          else regexp_replace(${add}::text, ${unreadable}, '\\\\u0001', 'g')::json end as readable
        offset 0
      ) line
      offset 0
    ) ids`
}

interface Entry {
  member: string
  /** See `RowIdPlaces`. */
  at: Sql
  id: Sql
}

const baseRowId: Entry = {
  member: ',"baseRowId":',
  at: sql`s.base_row_id_at`,
  id: sql`ids.base_row_id`,
}
const rowVersion: Entry = {
  member: ',"defaultRowCommitVersion":',
  at: sql`s.row_version_at`,
  id: sql`ids.row_version`,
}

/** A text with the id in the place of its null. */
function fill(text: Sql, { at, id }: Entry): Sql {
  return sql`case when ${at} > 0 and ${id} is not null
        then overlay(${text} placing ${id}::text from ${at} for 4) else ${text} end`
}

/** The member, where the line has none. */
function missing({ member, at, id }: Entry): Sql {
  return sql`case when ${at} is null and ${id} is not null then ${sql.lit(member)} || ${id} else '' end`
}

// What is put in first moves what stands behind it.
const filled = sql`case when s.base_row_id_at > s.row_version_at
        then ${fill(fill(sql`s.line::text`, baseRowId), rowVersion)}
        else ${fill(fill(sql`s.line::text`, rowVersion), baseRowId)} end`

/**
 * The line of a staged file `s` with those of the row ids `ids` that it does not tell; all else of its text is as it
 * was. What `withRowIds` makes in memory.
 */
export const lineWithRowIds = sql`(left(${filled}, -2) || ${missing(baseRowId)} || ${missing(rowVersion)} || '}}')::json`
