import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../../database/connect.ts'
import type { Lease } from '../keeper.ts'
import type { AdvisoryLock } from './rules.ts'

/** Has PostgreSQL notice within seconds that a session's machine is gone, and let it idle. */
export async function prepareSession(one: Db): Promise<void> {
  await sql`
    select set_config(given.name, given.value, false)
    from (values ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'),
      ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '10000'), ('idle_session_timeout', '0'))
      as given (name, value)
    join pg_settings known on known.name = given.name`.execute(one)
}

/** Which process of PostgreSQL answers. */
export async function findPid(one: Db): Promise<number> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(one)
  return rows[0]?.pid ?? 0
}

/** The advisory locks under one key of 64 bits that processes of PostgreSQL hold in this database. */
const heldKeys = sql`(
      select pid, classid::bigint << 32 | objid::bigint as key from pg_locks
      where locktype = 'advisory' and objsubid = 1 and granted
        and database = (select oid from pg_database where datname = current_database())
    )`

/** Whether a holder of a lock, a row of `lock_holders`, has the advisory lock that he needs, if he needs one. */
export function isBacked(holder: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`case when ${holder}.advisory_key is null then true else exists (
        select from ${heldKeys} as held
        where held.pid = ${holder}.backend_pid and held.key = ${holder}.advisory_key
      ) end`
}

/** Whether the process that answers holds the lock of this key. */
export async function holdsKey(one: Db, key: bigint): Promise<boolean> {
  const { rows } = await sql`
    select from ${heldKeys} as held where held.pid = pg_backend_pid() and held.key = ${key}`.execute(
    one,
  )
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

/** What a holder of a lock has besides his lease. */
export interface Backing {
  key: bigint
  /** Whether PostgreSQL says so. */
  isBacked: boolean
}

/** What a lease is backed by, if by anything. */
export async function findBacking(
  db: Db,
  { kind, name, holder, token }: Lease,
): Promise<Backing | undefined> {
  const { rows } = await sql<{ key: number | bigint | null; isBacked: boolean }>`
    select h.advisory_key as key, ${isBacked(sql`h`)} as "isBacked"
    from locks l join lock_holders h on h.lock_id = l.id
    where l.kind = ${kind} and l.name = ${name} and h.holder = ${holder} and h.token = ${token}`.execute(
    db,
  )
  const [row] = rows
  return row?.key == null ? undefined : { key: BigInt(row.key), isBacked: row.isBacked }
}

/** Notes what a lease is backed by; false where it was lost. */
export async function noteBacking(
  db: Db,
  { kind, name, holder, token }: Lease,
  { key, pid }: { key: bigint; pid: number },
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update lock_holders h set advisory_key = ${key}, backend_pid = ${pid}
    from locks l
    where h.lock_id = l.id and l.kind = ${kind} and l.name = ${name} and h.holder = ${holder}
      and h.token = ${token} and h.expires_at > clock_timestamp()`.execute(db)
  return numAffectedRows === 1n
}

/** The leases that a process of PostgreSQL backs. */
export async function listBackedBy(db: Db, pid: number): Promise<Lease[]> {
  const { rows } = await sql<Lease>`
    select l.kind, l.name, h.holder, h.token
    from lock_holders h join locks l on l.id = h.lock_id
    where h.advisory_key is not null and h.backend_pid = ${pid}`.execute(db)
  return rows
}

/** Leases whose advisory locks are gone, as when the server that held them has died. */
export async function listUnbacked(db: Db, limit: number): Promise<Lease[]> {
  const { rows } = await sql<Lease>`
    select l.kind, l.name, h.holder, h.token
    from lock_holders h join locks l on l.id = h.lock_id
    left join ${heldKeys} as held on held.pid = h.backend_pid and held.key = h.advisory_key
    where h.advisory_key is not null and held.pid is null
    limit ${limit}`.execute(db)
  return rows
}
