import { type RawBuilder, sql } from 'kysely'
import type { Db, Tx } from '../../database/connect.ts'
import { instantOf, replacingEntry } from '../queries.ts'
import type { NamespaceHead } from '../rows.ts'

/** A key that stands in two lines: the first ones, if there is any such key. */
export async function findRepeatedKey(
  db: Db,
  table: string,
): Promise<{ key: string; lines: number[] } | undefined> {
  const { rows } = await sql<{ key: string; first: number; second: number }>`
    select key, min(line) as first, (array_agg(line order by line))[2] as second
    from ${sql.table(table)}
    where key in (
      select key from ${sql.table(table)} group by key having count(*) > 1 limit 1)
    group by key`.execute(db)
  const [found] = rows
  return found && { key: found.key, lines: [found.first, found.second] }
}

/** Has PostgreSQL look at what was staged, so that its plans fit. */
export async function analyzeStage(db: Db, table: string): Promise<void> {
  await sql`analyze ${sql.table(table)}`.execute(db)
}

/** A namespace that is locked, and what was staged for it. `now` is in epoch milliseconds. */
export interface StagedImport {
  head: NamespaceHead
  now: number
  table: string
}

/** Whether an entry `e` is there for a reader at `now`. */
const isThereAt = (now: number) =>
  sql`not e.is_deleted and (e.expires_at is null or e.expires_at > ${instantOf(sql`${now}::bigint`)})`

/** How many of the staged keys are known, deleted or not, how many have an entry, and how many one that is there. */
export async function countExisting(
  tx: Tx,
  { head, now, table }: StagedImport,
): Promise<{ known: number; counted: number; replaced: number }> {
  const { rows } = await sql<{ known: number; counted: number; replaced: number }>`
    select count(*) as known, count(*) filter (where not e.is_deleted) as counted,
      count(*) filter (where ${isThereAt(now)}) as replaced
    from ${sql.table(table)} s
    join state_entries e on e.namespace_id = ${head.id} and e.key = s.key`.execute(tx)
  return rows[0] ?? { known: 0, counted: 0, replaced: 0 }
}

/** Enters what was staged into the history, at the next revision of the locked namespace. */
export async function insertStaged(tx: Tx, { head, now, table }: StagedImport): Promise<void> {
  const at = instantOf(sql`${now}::bigint`)
  await sql`
    insert into state_history (namespace_id, revision, position, key, version, kind, json,
      content_type, bytes, metadata, created_at, updated_at, expires_at, is_new)
    select ${head.id}::integer, ${head.revision + 1}::bigint, s.position, s.key,
      coalesce(e.version, ${head.versionFloor}::bigint) + 1, 'put', s.json, s.content_type,
      s.bytes, s.metadata, case when ${isThereAt(now)} then e.created_at else ${at} end, ${at},
      ${at} + nullif(coalesce(s.ttl_ms, ${head.defaultTtlMs}::bigint), 0) * interval '1 ms',
      not coalesce(${isThereAt(now)}, false)
    from ${sql.table(table)} s
    left join state_entries e on e.namespace_id = ${head.id} and e.key = s.key`.execute(tx)
}

/** Makes the writes of the next revision of the locked namespace its entries. Where all are new, PostgreSQL need not look for others. */
export async function replaceEntries(
  tx: Tx,
  { head, areNew }: StagedImport & { areNew: boolean },
): Promise<void> {
  await sql`
    insert into state_entries (namespace_id, key, version, revision, json, content_type, bytes,
      metadata, created_at, updated_at, expires_at)
    select namespace_id, key, version, revision, json, content_type, bytes, metadata, created_at,
      updated_at, expires_at
    from state_history
    where namespace_id = ${head.id} and revision = ${head.revision + 1}
    ${areNew ? sql`` : replacingEntry}`.execute(tx)
}

/**
 * The entries of a namespace that are there now, by key, as lines that an import takes; for `copyOut`. What stays for ever
 * says so, whatever the namespace into which it is imported does with those that say nothing.
 */
export function exportedLines(namespaceId: number): RawBuilder<unknown> {
  return sql`
    select '{"key":' || to_json(key)::text
      || case when json is not null then ',"value":' || json
        else ',"valueBase64":"' || translate(encode(bytes, 'base64'), E'\\n', '')
          || '","contentType":' || to_json(content_type)::text end
      || coalesce(',"metadata":' || metadata::text, '')
      || ',"ttlMs":' || coalesce(
        ceil(extract(epoch from expires_at - now()) * 1000)::bigint::text, 'null') || '}'
    from state_entries
    where namespace_id = ${sql.lit(namespaceId)} and not is_deleted
      and (expires_at is null or expires_at > now())
    order by key`
}
