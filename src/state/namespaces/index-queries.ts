import { sql } from 'kysely'
import type { Db } from '../../database/connect.ts'

/** Of the advisory lock of the server that builds and drops indexes. */
const lockKey = 5_063_517_402_911n

/** The right to build and drop indexes, on one connection. */
export interface IndexClaim {
  /** Of the connection, by which PostgreSQL knows it. */
  pid: number
  release: () => Promise<void>
}

/** Takes the right, unless another connection has it, and lets statements of this one take as long as they must. */
export async function claimIndexes(one: Db): Promise<IndexClaim | undefined> {
  const { rows } = await sql<{ claimed: boolean; pid: number }>`
    select pg_try_advisory_lock(${lockKey}) as claimed, pg_backend_pid() as pid`.execute(one)
  const [claim] = rows
  if (claim === undefined || !claim.claimed) return undefined
  await sql`set statement_timeout = 0; set lock_timeout = 0`.execute(one)
  return {
    pid: claim.pid,
    release: async () => {
      await sql`reset statement_timeout; reset lock_timeout`.execute(one)
      await sql`select pg_advisory_unlock(${lockKey})`.execute(one)
    },
  }
}

/** An index that is not as it should be. */
export interface DueIndex {
  /** Of its namespace. */
  id: number
  isWanted: boolean
  exists: boolean
}

/** Indexes that are wanted and not there, or broken, or there and not wanted. Ask with the right to build. */
export async function listIndexesDue(db: Db): Promise<DueIndex[]> {
  const { rows } = await sql<DueIndex>`
    with there as (
      select substring(c.relname from '^state_entries_metadata_([0-9]+)_idx$')::integer as id,
        i.indisvalid as is_valid
      from pg_index i join pg_class c on c.oid = i.indexrelid
      where i.indrelid = 'state_entries'::regclass
        and c.relname ~ '^state_entries_metadata_[0-9]+_idx$'
    )
    select coalesce(n.id, t.id) as id, coalesce(n.has_metadata_index, false) as "isWanted",
      t.id is not null as exists
    from (select id, has_metadata_index from state_namespaces where has_metadata_index) n
    full join there t on t.id = n.id
    where n.id is null or t.id is null or not t.is_valid
    order by 1`.execute(db)
  return rows
}

/** Builds the index over the metadata of a namespace while it is written to. Fails, and leaves it broken, when it is stopped. */
export async function buildIndex(one: Db, id: number): Promise<void> {
  // What waits to be entered is kept small, for it is a writer who does it.
  await sql`
    create index concurrently ${nameOf(id)} on state_entries
    using gin (metadata jsonb_path_ops) with (gin_pending_list_limit = 512)
    where namespace_id = ${sql.lit(id)}`.execute(one)
}

export async function dropIndex(one: Db, id: number): Promise<void> {
  await sql`drop index concurrently if exists ${nameOf(id)}`.execute(one)
}

/** Ends the statement under way on another connection. */
export async function stopBuild(db: Db, pid: number): Promise<void> {
  await sql`select pg_cancel_backend(${pid})`.execute(db)
}

function nameOf(id: number) {
  return sql.id(`state_entries_metadata_${id}_idx`)
}
