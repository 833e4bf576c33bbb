import { sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import { times } from './queries.ts'
import type { EntryValue, WriteRow } from './rows.ts'
import type { HistoryWindow, NamespaceProgress, WatchPlace } from './watch-rules.ts'

/** How far namespaces have come, of those that there are. */
export async function listNamespaceProgress(
  db: Db,
  namespaces: readonly string[],
): Promise<NamespaceProgress[]> {
  const { rows } = await sql<NamespaceProgress>`
    select namespace as id, revision, history_from as "historyFrom"
    from state_namespaces where namespace = any(${namespaces}::text[])`.execute(db)
  return rows
}

/** A write as those who watch are told of it. */
export type ToldWrite = Omit<WriteRow, 'namespaceId'>

/** What lies behind a place, and from where on the history is whole. */
export interface FoundWindow extends HistoryWindow<ToldWrite> {
  historyFrom: number
}

export interface WindowLimits {
  /** Writes that are looked at, whatever their key. */
  writesMax: number
  /** Bytes of those that are read, but for the last of them. */
  bytesMax: number
}

/** About what an event has beside its key, value and metadata. */
const eventBytes = 150

type FoundRow = {
  newest: number
  historyFrom: number
  seen: number
  lastRevision: number | null
  lastPosition: number | null
} & (FlatWrite | { kind: null })

type FlatWrite = Omit<ToldWrite, 'value'> &
  Record<keyof EntryValue, unknown> & { next: number | null }

/** Reads a window behind a place, in one view with the head of the namespace, which must be there. */
export async function readWindow(
  db: Db,
  { namespace, place }: { namespace: string; place: WatchPlace },
  { writesMax, bytesMax }: WindowLimits,
): Promise<FoundWindow> {
  const { prefix, revision, position, held } = place
  const heldBack =
    held === undefined
      ? sql``
      : sql`(
          select * from state_history
          where namespace_id = (select id from head)
            and revision = ${revision} and position = ${held}
        ) union all`
  const { rows } = await sql<FoundRow>`
    with head as materialized (
      select id, revision, history_from from state_namespaces where namespace = ${namespace}
    ), seen as materialized (
      select * from state_history
      where namespace_id = (select id from head)
        and (revision, position) > (${revision}::bigint, ${position}::integer)
      order by revision, position
      limit ${writesMax}
    ), last as (
      select count(*) over () as seen, revision, position from seen
      order by revision desc, position desc limit 1
    ), wanted as (
      select *, lead(revision) over (order by revision, position) as next,
        sum(${eventBytes} + octet_length(key) + coalesce(octet_length(json), octet_length(bytes), 0)
          + coalesce(pg_column_size(metadata), 0))
          over (order by revision, position rows between unbounded preceding and 1 preceding)
          as before
      from (${heldBack} (select * from seen where starts_with(key, ${prefix}))) as found
    )
    select h.revision as newest, h.history_from as "historyFrom", coalesce(l.seen, 0) as seen,
      l.revision as "lastRevision", l.position as "lastPosition", w.revision, w.position, w.key,
      w.version, w.kind, w.is_new as "isNew", w.json, w.content_type as "contentType", w.bytes,
      w.metadata::text as metadata, w.next, ${times(sql`w.`)}
    from head h
    left join last l on true
    left join wanted w on coalesce(w.before, 0) < ${bytesMax}
    order by w.revision, w.position`.execute(db)
  const [first] = rows
  if (first === undefined) throw new Error(`the namespace ${namespace} is watched and not there`)
  const { newest, historyFrom, seen, lastRevision, lastPosition } = first
  return {
    newest,
    historyFrom,
    lastSeen:
      seen < writesMax || lastRevision === null || lastPosition === null
        ? undefined
        : { revision: lastRevision, position: lastPosition },
    writes: rows.flatMap((row) => (row.kind === null ? [] : toWrite(row))),
  }
}

function toWrite({ json, contentType, bytes, ...row }: FoundRow & FlatWrite) {
  const { newest: _newest, historyFrom: _from, seen: _seen, ...rest } = row
  const { lastRevision: _revision, lastPosition: _position, ...write } = rest
  return { ...write, value: { json, contentType, bytes } as EntryValue }
}
