import { sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import { isBacked } from './advisory/queries.ts'
import { holderColumns } from './queries.ts'
import type { Holder, LockName } from './rows.ts'

/** A lease that is to run for so long from now on at least; undefined for as long as it was granted for. */
export interface Renewal extends LockName {
  holder: string
  token: number
  ttlMs: number | undefined
}

/** A lease that was renewed. */
export type Renewed = Holder & LockName

/**
 * Renews those of the leases that have not run out, and have the advisory locks that they need, in one order, so that
 * nobody waits for another in a circle.
 */
export async function renewLeases(db: Db, renewals: readonly Renewal[]): Promise<Renewed[]> {
  const { rows } = await sql<Renewed>`
    with asked as (
      select n.kind, n.name, h.lock_id, h.holder, n.token, coalesce(n.ttl_ms, h.ttl_ms) as ttl_ms
      from unnest(
        ${renewals.map(({ kind }) => kind)}::text[], ${renewals.map(({ name }) => name)}::text[],
        ${renewals.map(({ holder }) => holder)}::text[],
        ${renewals.map(({ token }) => token)}::bigint[],
        ${renewals.map(({ ttlMs }) => ttlMs ?? null)}::bigint[])
        as n (kind, name, holder, token, ttl_ms)
      join locks l on l.kind = n.kind and l.name = n.name
      join lock_holders h on h.lock_id = l.id and h.holder = n.holder and h.token = n.token
      order by h.lock_id, h.holder
      for no key update of h
    )
    update lock_holders h
    set ttl_ms = a.ttl_ms,
      expires_at = greatest(h.expires_at, clock_timestamp() + a.ttl_ms * interval '1 ms')
    from asked a
    where h.lock_id = a.lock_id and h.holder = a.holder and h.token = a.token
      and h.expires_at > clock_timestamp() and ${isBacked(sql`h`)}
    returning a.kind, a.name, ${holderColumns}`.execute(db)
  return rows
}
