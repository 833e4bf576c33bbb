import { sql } from 'kysely'
import type { Db, Tx } from '../database/connect.ts'
import { goesOnSql, isDueSql, mirrorStateSql, storeSql, unsettledSql } from './queries.ts'
import type { MirrorStateName } from './rules.ts'

/** What is to be published, and how the mirrors are for which there may be something to do. */
export interface Backlog {
  /** Tables by the state of their mirror; of those that are current, some are left out. */
  states: Partial<Record<MirrorStateName, number>>
  /** Versions that are committed and not published. */
  pending: number
  /**
   * Milliseconds since the oldest commit that waits to be published; those that wait for a person are left out: of
   * tables that are paused or forked, or that failed by themselves.
   */
  lagMs: number
  /** The tables to be published now, the longest waiting first, with what `storeOf` says of them. */
  due: { tableId: string; store: string }[]
}

/**
 * Looks up what waits to be published; of the tables that are due at most `limit`, none of these stores. Only tables
 * that are unsettled or unwell are looked at, by tables_unsettled_idx and mirrors_unwell_idx, and each by its keys,
 * whatever is known of the tables when the statement is planned.
 */
export async function findBacklog(
  db: Db,
  { limit, except }: { limit: number; except: readonly string[] },
): Promise<Backlog> {
  const { rows } = await sql<Backlog>`
    with found as materialized (
      select t.id, t.version, m.published_version, ${mirrorStateSql} as state, ${storeSql} as store,
        ${goesOnSql} and ${isDueSql} as is_due
      from tables t
      cross join lateral (select * from mirrors where table_id = t.id limit 1) m
      where t.id = any(array(
        select id from tables where is_unsettled
        union
        select table_id from mirrors where state <> 'publishing' or paused_at is not null
      ))
    ), behind as materialized (
      select f.*, c.committed_at
      from found f
      cross join lateral (
        select committed_at from commits
        where table_id = f.id and version = f.published_version + 1
        limit 1
      ) c
      where f.published_version < f.version
    )
    select
      (select coalesce(jsonb_object_agg(state, number), '{}')
        from (select state, count(*) as number from found group by state) s) as states,
      (select coalesce(sum(version - published_version), 0)::bigint from found) as pending,
      (select coalesce(extract(epoch from clock_timestamp() - min(committed_at)), 0)::float8 * 1000
        from behind where state in ('behind', 'retrying')) as "lagMs",
      (select coalesce(jsonb_agg(jsonb_build_object('tableId', id, 'store', store)), '[]')
        from (
          select id, store from behind
          where is_due and store <> all(${except}::text[])
          order by committed_at
          limit ${limit}
        ) d) as due`.execute(db)
  const [backlog] = rows
  if (backlog === undefined) throw new Error('a query without groups answers one row')
  return backlog
}

/** How many tables there are, dropped ones too. It takes the longer, the more there are. */
export async function countMirrors(db: Db): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) from mirrors`.execute(db)
  return rows[0]?.count ?? 0
}

/**
 * Settles tables of which all is published, has a checksum, and has stood still for `quietMs`, at most `limit` of them:
 * from now on nobody looks at them until the next commit. What the database forgets of this in a crash does no harm.
 * Those whose heads are held are passed by. Answers how many were settled.
 */
export async function settleTables(
  tx: Tx,
  { quietMs, limit }: { quietMs: number; limit: number },
): Promise<number> {
  await sql`set local synchronous_commit = off`.execute(tx)
  const { numAffectedRows } = await sql`
    update tables set is_unsettled = false where id in (
      select t.id from tables t
      cross join lateral (select * from mirrors where table_id = t.id limit 1) m
      cross join lateral (select * from checkpoints where table_id = t.id limit 1) c
      where t.id = any(${unsettledSql}) and t.is_unsettled
        and m.published_version = t.version
        and c.checksum_version >= t.version
        and coalesce(m.published_at <= clock_timestamp() - ${quietMs} * interval '1 ms', true)
      limit ${limit}
      for update of t skip locked
    )`.execute(tx)
  return Number(numAffectedRows)
}
