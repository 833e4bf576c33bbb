import { sql } from 'kysely'
import type { Db } from '../../database/connect.ts'
import type { AdvisoryLock } from './rules.ts'

/** The process of PostgreSQL that a session is. Another may get the same number, but not at the same time. */
export interface Backend {
  pid: number
  /** RFC 3339, to the microsecond. */
  startedAt: string
}

/** Settings by which PostgreSQL notices within seconds that a session's machine is gone, and lets it idle. */
export async function prepareSession(one: Db): Promise<Backend> {
  await sql`
    select set_config(given.name, given.value, false)
    from (values ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'),
      ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '10000'), ('idle_session_timeout', '0'))
      as given (name, value)
    join pg_settings known on known.name = given.name`.execute(one)
  const { rows } = await sql<Backend>`
    select pid, to_json(backend_start) #>> '{}' as "startedAt"
    from pg_stat_activity where pid = pg_backend_pid()`.execute(one)
  const [backend] = rows
  if (backend === undefined) throw new Error('PostgreSQL does not tell of our own session')
  return backend
}

/** Which process of PostgreSQL answers. */
export async function findPid(one: Db): Promise<number> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(one)
  return rows[0]?.pid ?? 0
}

/** Whether the process that answers holds the lock of this key. */
export async function holdsKey(one: Db, key: bigint): Promise<boolean> {
  const { rows } = await sql`
    select from pg_locks
    where locktype = 'advisory' and pid = pg_backend_pid() and granted and objsubid = 1
      and database = (select oid from pg_database where datname = current_database())
      and classid::bigint << 32 | objid::bigint = ${key}`.execute(one)
  return rows.length > 0
}

/** Takes locks that nobody else has, all in one journey; answers for each whether it did. */
export async function tryLock(one: Db, locks: readonly AdvisoryLock[]): Promise<boolean[]> {
  if (locks.length === 0) return []
  const { rows } = await sql<{ locked: boolean }>`
    select case when mode = 'shared' then pg_try_advisory_lock_shared(key)
      else pg_try_advisory_lock(key) end as locked
    from unnest(
      ${locks.map(({ key }) => key)}::bigint[],
      ${locks.map(({ mode }) => mode)}::text[]) with ordinality as asked (key, mode, place)
    order by place`.execute(one)
  return rows.map(({ locked }) => locked)
}

/** Gives locks back. */
export async function unlock(one: Db, locks: readonly AdvisoryLock[]): Promise<void> {
  if (locks.length === 0) return
  await sql`
    select case when mode = 'shared' then pg_advisory_unlock_shared(key)
      else pg_advisory_unlock(key) end
    from unnest(
      ${locks.map(({ key }) => key)}::bigint[],
      ${locks.map(({ mode }) => mode)}::text[]) as given (key, mode)`.execute(one)
}

/** The keys of names, as any client of the database can compute them: `hashtextextended(name, 0)`. */
export async function keysOfNames(db: Db, names: readonly string[]): Promise<bigint[]> {
  const { rows } = await sql<{ key: number | bigint }>`
    select hashtextextended(name, 0) as key
    from unnest(${names}::text[]) with ordinality as asked (name, place)
    order by place`.execute(db)
  return rows.map(({ key }) => BigInt(key))
}
