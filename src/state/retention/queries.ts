import { sql } from 'kysely'
import type { Db, Tx } from '../../database/connect.ts'

/** Class of the advisory locks by which a namespace is swept by one transaction at a time. */
const lockClass = 1_398_031_702

/** How far the history of a namespace reaches, and how far it is swept. */
export interface HistoryBounds {
  revision: number
  historyFrom: number
  archiveFrom: number | null
  archives: boolean
  retentionAgeMs: number | null
  retentionRevisions: number | null
  sweptRevision: number
  sweptPosition: number
  /** Whether the archive has rows although it can no longer tell the whole. */
  hasStaleArchive: boolean
}

/**
 * Waits until no other transaction sweeps the namespace, and keeps it from doing so. Writers are not held up. What the
 * transaction looks up, it looks up by key, however few rows PostgreSQL has seen so far.
 */
export async function claimSweep(tx: Tx, namespaceId: number): Promise<HistoryBounds | undefined> {
  await sql`
    set local enable_seqscan = off; set local enable_hashjoin = off;
    set local enable_mergejoin = off`.execute(tx)
  await sql`select pg_advisory_xact_lock(${lockClass}, ${namespaceId})`.execute(tx)
  const { rows } = await sql<HistoryBounds>`
    select revision, history_from as "historyFrom", archive_from as "archiveFrom", archives,
      retention_age_ms as "retentionAgeMs", retention_revisions as "retentionRevisions",
      swept_revision as "sweptRevision", swept_position as "sweptPosition",
      archive_from is null and exists (
        select from state_archive a where a.namespace_id = n.id) as "hasStaleArchive"
    from state_namespaces n where id = ${namespaceId}`.execute(tx)
  return rows[0]
}

/** Whether the limits of the namespace `n` let go of more than they have. */
const isBeyondLimits = sql`(
        n.revision - n.retention_revisions > n.history_from
        or (
          select h.updated_at from state_history h
          where h.namespace_id = n.id and h.revision > n.history_from
          order by h.revision, h.position limit 1
        ) <= clock_timestamp() - n.retention_age_ms * interval '1 ms')`

/** Whether writes of the namespace `n` have not been looked at since the history begins behind them. */
const isUnswept = sql`exists (
        select from state_history h
        where h.namespace_id = n.id and h.revision <= n.history_from
          and (h.revision, h.position) > (n.swept_revision, n.swept_position))`

/** The next namespace behind `after`, by id, from whose history something is to leave. */
export async function findToSweep(
  db: Db,
  { after, archivesOnly }: { after: number; archivesOnly: boolean },
): Promise<number | undefined> {
  const { rows } = await sql<{ id: number }>`
    select id from state_namespaces n
    where (retention_age_ms is not null or retention_revisions is not null)
      and id > ${after} and (archives or ${!archivesOnly})
      and (${isBeyondLimits} or ${isUnswept})
    order by id limit 1`.execute(db)
  return rows[0]?.id
}

/** How many writes are to be looked at, all namespaces together. */
export async function countToSweep(db: Db, archivesOnly: boolean): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select coalesce(sum(due), 0)::bigint as count
    from state_namespaces n cross join lateral (
      select count(*) as due from state_history h
      where h.namespace_id = n.id and (h.revision, h.position) > (n.swept_revision, n.swept_position)
        and (h.revision <= greatest(n.history_from, n.revision - n.retention_revisions)
          or h.updated_at <= clock_timestamp() - n.retention_age_ms * interval '1 ms')
    ) as writes
    where (retention_age_ms is not null or retention_revisions is not null)
      and (archives or ${!archivesOnly})`.execute(db)
  return rows[0]?.count ?? 0
}

/**
 * The newest revision that is older than an age, of so many writes behind a revision; undefined where none of them is.
 * What was replaced by then was replaced longer ago.
 */
export async function findAged(
  tx: Tx,
  { namespaceId, after, ageMs }: { namespaceId: number; after: number; ageMs: number },
  limit: number,
): Promise<number | undefined> {
  const { rows } = await sql<{ revision: number | null }>`
    select max(revision) as revision from (
      select revision, updated_at from state_history
      where namespace_id = ${namespaceId} and revision > ${after}
      order by revision, position limit ${limit}
    ) as next
    where updated_at <= clock_timestamp() - ${ageMs} * interval '1 ms'`.execute(tx)
  return rows[0]?.revision ?? undefined
}

/**
 * Lets the history begin at a later revision, at the present one at most. That at which it began is looked at once more,
 * for the deletions of that revision may leave now. An archive begins where the history did.
 */
export async function raiseHistory(tx: Tx, namespaceId: number, to: number): Promise<void> {
  await sql`
    update state_namespaces
    set history_from = least(${to}, revision),
      archive_from = case when archives then coalesce(archive_from, history_from) end,
      swept_position = case when swept_revision < history_from then swept_position
        else 2147483647 end,
      swept_revision = least(swept_revision, history_from - 1)
    where id = ${namespaceId} and history_from < least(${to}, revision)`.execute(tx)
}

/** A write that was looked at. */
export interface WalkedWrite {
  revision: number
  position: number
  key: string
  kind: 'put' | 'delete' | 'expire'
}

const columns = sql`namespace_id, revision, position, key, version, kind, json, content_type, bytes,
        metadata, created_at, updated_at, expires_at, is_new`

/** Where what leaves the history goes. */
const archiving = (archives: boolean) => sql`archived as (
      insert into state_archive (${columns}) select ${columns} from gone where ${archives}
    )`

/**
 * Looks at the next writes, in order, up to where the history begins, and removes all older ones of their keys; answers
 * those that it looked at.
 */
export async function removeReplaced(
  tx: Tx,
  namespaceId: number,
  { historyFrom, archiveFrom, sweptRevision, sweptPosition }: HistoryBounds,
  limit: number,
): Promise<WalkedWrite[]> {
  const { rows } = await sql<WalkedWrite>`
    with walked as materialized (
      select revision, position, key, kind from state_history
      where namespace_id = ${namespaceId} and revision <= ${historyFrom}
        and (revision, position) > (${sweptRevision}, ${sweptPosition})
      order by revision, position limit ${limit}
    ), gone as (
      delete from state_history h
      where h.namespace_id = ${namespaceId} and (h.revision, h.position) in (
        select older.revision, older.position
        from walked w cross join lateral (
          select o.revision, o.position from state_history o
          where o.namespace_id = ${namespaceId} and o.key = w.key and o.revision < w.revision
          offset 0
        ) as older)
      returning ${columns}
    ), ${archiving(archiveFrom !== null)}
    select * from walked order by revision, position`.execute(tx)
  return rows
}

/** Notes how far the history is swept, which locks the namespace. */
export async function updateSwept(
  tx: Tx,
  namespaceId: number,
  { revision, position }: Pick<WalkedWrite, 'revision' | 'position'>,
): Promise<void> {
  await sql`
    update state_namespaces set swept_revision = ${revision}, swept_position = ${position}
    where id = ${namespaceId}`.execute(tx)
}

/**
 * Forgets keys of a locked namespace that were deleted by these writes and are deleted still. No entry is made anew with a
 * version that it had before: the floor of all versions rises above theirs.
 */
export async function forgetDeleted(
  tx: Tx,
  namespaceId: number,
  { deletions, archives }: { deletions: readonly WalkedWrite[]; archives: boolean },
): Promise<void> {
  if (deletions.length === 0) return
  await sql`
    with forgotten as (
      delete from state_entries e
      using unnest(
        ${deletions.map(({ key }) => key)}::text[],
        ${deletions.map(({ revision }) => revision)}::bigint[]) as d (key, revision)
      where e.namespace_id = ${namespaceId} and e.key = d.key and e.revision = d.revision
        and e.is_deleted
      returning e.key, e.revision, e.version
    ), gone as (
      delete from state_history h using forgotten f
      where h.namespace_id = ${namespaceId} and h.key = f.key and h.revision = f.revision
      returning h.*
    ), ${archiving(archives)}
    update state_namespaces
    set version_floor = greatest(version_floor, (select max(version) from forgotten))
    where id = ${namespaceId} and exists (select from forgotten)`.execute(tx)
}

/** Removes rows of the archive of a namespace, so many at most; answers how many. */
export async function deleteArchived(tx: Tx, namespaceId: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from state_archive where namespace_id = ${namespaceId} and (key, revision) in (
      select key, revision from state_archive where namespace_id = ${namespaceId} limit ${limit}
    )`.execute(tx)
  return Number(numAffectedRows)
}
