import { type RawBuilder, sql } from 'kysely'
import type { Db, Tx } from '../database/connect.ts'
import type { Namespace } from './namespaces.ts'
import type { EntryRow, EntryValue, NamespaceHead, StateWrites, WriteRow } from './rows.ts'

/** Makes those namespaces that are not there, in the order of their names so that two makers cannot wait for each other. */
export async function makeNamespaces(db: Db, names: readonly string[]): Promise<Namespace[]> {
  await sql`
    insert into state_namespaces (namespace)
    select distinct name from unnest(${names}::text[]) as name order by name
    on conflict (namespace) do nothing`.execute(db)
  const { rows } = await sql<Namespace>`
    select id as "namespaceId", namespace from state_namespaces
    where namespace = any(${names}::text[])`.execute(db)
  return rows
}

/** The id of a namespace, if there is one of this name. Namespaces are never removed. */
export async function findNamespaceId(db: Db, namespace: string): Promise<number | undefined> {
  const { rows } = await sql<{ id: number }>`
    select id from state_namespaces where namespace = ${namespace}`.execute(db)
  return rows[0]?.id
}

/** Namespaces as they were locked. */
export interface LockedNamespaces {
  heads: NamespaceHead[]
  /** Epoch milliseconds by the database's clock. */
  now: number
  /** Whether one of them had to be waited for. */
  waited: boolean
}

/** Locks namespaces in the order of their ids. With `skipHeld` it passes by those that another transaction holds. */
export async function lockNamespaces(
  tx: Tx,
  ids: readonly number[],
  { skipHeld }: { skipHeld: boolean },
): Promise<LockedNamespaces> {
  if (ids.length === 0) return { heads: [], now: 0, waited: false }
  const { rows } = await sql<NamespaceHead & { now: number; waited: boolean }>`
    select id, namespace, revision, num_entries as "numEntries",
      version_floor as "versionFloor", default_ttl_ms as "defaultTtlMs",
      requires_precondition as "requiresPrecondition", durability,
      (extract(epoch from clock_timestamp()) * 1000)::bigint as now,
      clock_timestamp() - statement_timestamp() > interval '1 ms' as waited
    from state_namespaces
    where id = any(${ids}::integer[])
    order by id
    for no key update ${skipHeld ? sql`skip locked` : sql``}`.execute(tx)
  return {
    heads: rows.map(({ now: _now, waited: _waited, ...head }) => head),
    now: rows[0]?.now ?? 0,
    waited: rows.some(({ waited }) => waited),
  }
}

/** A key that a batch names. */
export interface AskedEntry {
  namespaceId: number
  key: string
  /** Whether its value and metadata are needed too. */
  isWhole: boolean
}

/** Values of entries as they leave the database. */
export interface FlatEntry extends Omit<EntryRow, 'value'> {
  json: string | null
  contentType: string | null
  bytes: Buffer | null
}

/** The newest writes of keys, those of deleted entries too. */
export async function findEntries(db: Db, asked: readonly AskedEntry[]): Promise<EntryRow[]> {
  if (asked.length === 0) return []
  const { rows } = await sql<FlatEntry>`
    select e.namespace_id as "namespaceId", e.key, e.version, e.revision,
      e.is_deleted as "isDeleted",
      case when a.is_whole then e.json end as json,
      case when a.is_whole then e.content_type end as "contentType",
      case when a.is_whole then e.bytes end as bytes,
      case when a.is_whole then e.metadata::text end as metadata,
      ${times(sql`e.`)}
    from unnest(
      ${asked.map(({ namespaceId }) => namespaceId)}::integer[],
      ${asked.map(({ key }) => key)}::text[],
      ${asked.map(({ isWhole }) => isWhole)}::boolean[]) as a (namespace_id, key, is_whole)
    join state_entries e on e.namespace_id = a.namespace_id and e.key = a.key`.execute(db)
  return rows.map(toEntry)
}

/** Epoch milliseconds as PostgreSQL keeps an instant. */
export function instantOf(ms: RawBuilder<unknown>) {
  return sql`timestamptz 'epoch' + ${ms} * interval '1 ms'`
}

/** The times of an entry or a write as epoch milliseconds; `of` names the table, with its dot. */
export function times(of = sql``) {
  return sql`
      (extract(epoch from ${of}created_at) * 1000)::bigint as "createdAt",
      (extract(epoch from ${of}updated_at) * 1000)::bigint as "updatedAt",
      (extract(epoch from ${of}expires_at) * 1000)::bigint as "expiresAt"`
}

/** An entry as the database told it. */
export function toEntry({ json, contentType, bytes, ...row }: FlatEntry): EntryRow {
  return { ...row, value: { json, contentType, bytes } as EntryValue }
}

/**
 * Has the transaction answer as soon as PostgreSQL has its writes, before they are on disk: up to some tenths of a second
 * of such writes are lost where the machine fails, in order, and nothing else is harmed.
 */
export async function deferFlush(tx: Tx): Promise<void> {
  await sql`set local synchronous_commit = off`.execute(tx)
}

/** Writes all that a batch has changed, in one statement for the writes and one for the namespaces. */
export function writeState(tx: Tx, { namespaces, writes }: StateWrites): Promise<void>[] {
  return [insertWrites(tx, writes), updateNamespaces(tx, namespaces)]
}

/** Enters writes into the history, and the newest of each key as its entry. */
async function insertWrites(tx: Tx, writes: readonly WriteRow[]): Promise<void> {
  if (writes.length === 0) return
  const newest = new Map(writes.map((write) => [`${write.namespaceId}/${write.key}`, write]))
  const isNewest = new Set(newest.values())
  const instant = (name: string) => instantOf(sql.raw(name))
  await sql`
    with input as materialized (
      select namespace_id, revision, position, key, version, kind, json, content_type, bytes,
        metadata, ${instant('created_ms')} as created_at, ${instant('updated_ms')} as updated_at,
        ${instant('expires_ms')} as expires_at, is_new, is_newest
      from unnest(
        ${writes.map(({ namespaceId }) => namespaceId)}::integer[],
        ${writes.map(({ revision }) => revision)}::bigint[],
        ${writes.map(({ position }) => position)}::integer[],
        ${writes.map(({ key }) => key)}::text[],
        ${writes.map(({ version }) => version)}::bigint[],
        ${writes.map(({ kind }) => kind)}::text[],
        ${writes.map(({ value }) => value.json)}::text[],
        ${writes.map(({ value }) => value.contentType)}::text[],
        ${writes.map(({ value }) => value.bytes)}::bytea[],
        ${writes.map(({ metadata }) => metadata)}::jsonb[],
        ${writes.map(({ createdAt }) => createdAt)}::bigint[],
        ${writes.map(({ updatedAt }) => updatedAt)}::bigint[],
        ${writes.map(({ expiresAt }) => expiresAt)}::bigint[],
        ${writes.map(({ isNew }) => isNew)}::boolean[],
        ${writes.map((write) => isNewest.has(write))}::boolean[])
        as w (namespace_id, revision, position, key, version, kind, json, content_type, bytes,
          metadata, created_ms, updated_ms, expires_ms, is_new, is_newest)
    ), history as (
      insert into state_history (namespace_id, revision, position, key, version, kind, json,
        content_type, bytes, metadata, created_at, updated_at, expires_at, is_new)
      select namespace_id, revision, position, key, version, kind, json, content_type, bytes,
        metadata, created_at, updated_at, expires_at, is_new
      from input
    )
    insert into state_entries (namespace_id, key, version, revision, is_deleted, json,
      content_type, bytes, metadata, created_at, updated_at, expires_at)
    select namespace_id, key, version, revision, kind <> 'put', json, content_type, bytes,
      metadata, created_at, updated_at, expires_at
    from input where is_newest
    ${replacingEntry}`.execute(tx)
}

/** Has an insert of entries put them in the place of those that are there. */
export const replacingEntry = sql`on conflict (namespace_id, key) do update set
      version = excluded.version, revision = excluded.revision,
      is_deleted = excluded.is_deleted, json = excluded.json,
      content_type = excluded.content_type, bytes = excluded.bytes,
      metadata = excluded.metadata, created_at = excluded.created_at,
      updated_at = excluded.updated_at, expires_at = excluded.expires_at`

async function updateNamespaces(tx: Tx, heads: readonly NamespaceHead[]): Promise<void> {
  if (heads.length === 0) return
  await sql`
    update state_namespaces n
    set revision = h.revision, num_entries = h.num_entries
    from unnest(
      ${heads.map(({ id }) => id)}::integer[],
      ${heads.map(({ revision }) => revision)}::bigint[],
      ${heads.map(({ numEntries }) => numEntries)}::bigint[]) as h (id, revision, num_entries)
    where n.id = h.id`.execute(tx)
}
