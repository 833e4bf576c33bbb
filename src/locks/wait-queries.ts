import { sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import { countsAs } from './queries.ts'
import type { LockName } from './rows.ts'

/** Those of these requests that are not known to wait any more: they were granted their lock, or are to end a deadlock. */
export async function listSettled(db: Db, requestIds: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select asked.id from unnest(${requestIds}::uuid[]) as asked (id)
    where not exists (
      select from lock_waits w where w.request_id = asked.id and ${countsAs(sql`w`)}
    )`.execute(db)
  return rows.map(({ id }) => id)
}

/** Locks that one of these requests waits for and that whoever is first in the line may have, as far as can be seen. */
export async function listDueLocks(
  db: Db,
  requestIds: readonly string[],
  holdersMax: number,
): Promise<LockName[]> {
  const { rows } = await sql<LockName>`
    select l.kind, l.name
    from (select distinct lock_id from lock_waits where request_id = any(${requestIds}::uuid[])) as asked
    join locks l on l.id = asked.lock_id
    cross join lateral (
      select w.mode from lock_waits w where w.lock_id = l.id and ${countsAs(sql`w`)}
      order by w.priority desc, w.place limit 1
    ) as head
    cross join lateral (
      select count(*) as held, bool_or(h.mode = 'exclusive') as alone
      from lock_holders h where h.lock_id = l.id and h.expires_at > clock_timestamp()
    ) as held
    where (l.delayed_until is null or l.delayed_until <= clock_timestamp())
      and (held.held = 0 or (head.mode = 'shared' and not held.alone and held.held < ${holdersMax}))`.execute(
    db,
  )
  return rows
}

/** Locks that somebody has let expire, of one more than are done at once. */
export async function listExpired(db: Db, limit: number): Promise<LockName[]> {
  const { rows } = await sql<LockName>`
    select distinct l.kind, l.name from lock_holders h join locks l on l.id = h.lock_id
    where h.expires_at <= clock_timestamp()
    limit ${limit}`.execute(db)
  return rows
}

/** Goes on with requests that are known to wait. */
export async function renewWaits(
  db: Db,
  requestIds: readonly string[],
  aliveMs: number,
): Promise<void> {
  await sql`
    update lock_waits set alive_until = clock_timestamp() + ${aliveMs} * interval '1 ms'
    where request_id = any(${requestIds}::uuid[]) and alive_until > clock_timestamp()`.execute(db)
}

/** Forgets requests of servers that died; answers how many there were. */
export async function deleteLapsedWaits(db: Db): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    delete from lock_waits where request_id in (
      select request_id from lock_waits where alive_until <= clock_timestamp()
      order by alive_until limit 1000 for update skip locked
    )`.execute(db)
  return Number(numAffectedRows)
}
