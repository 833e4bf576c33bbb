import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import { countsAs, ms } from './queries.ts'
import type { LockName } from './rows.ts'

/**
 * An edge of the wait-for graph of locks and reservations: a party that waits, and whom it waits for. A party is the
 * holder of locks; one that is the id of a transaction is that transaction. Instants are epoch milliseconds.
 */
export interface GraphEdge {
  waiter: string
  holder: string
  requestId: string
  priority: number
  /** Since when it waits for a lock, or since when the transaction is under way. */
  since: number
  /** What it waits for: a lock, or else the table of this id. */
  lock: LockName | null
  tableId: string | null
}

/** A graph beyond this is not searched to its end. */
const edgesMax = 20_000

/**
 * All edges that lead on from those of these requests whose parties hold something themselves: every circle has one of
 * these in it.
 */
export async function listEdges(db: Db, requestIds: readonly string[]): Promise<GraphEdge[]> {
  const { rows } = await sql<
    Omit<GraphEdge, 'lock'> & { kind: LockName['kind'] | null; name: string }
  >`
    with recursive reached (id) as (
      select distinct w.holder from lock_waits w
      where w.request_id = any(${requestIds}::uuid[]) and (
        exists (
          select from lock_holders h where h.holder = w.holder and h.expires_at > clock_timestamp()
        )
        or exists (select from reservations r where r.transaction_id = ${transactionOf(sql`w.holder`)})
      )
      union
      select e.holder from reached p cross join lateral (${edgesFrom(sql`p.id`)}) as e
    )
    select p.id as waiter, e.holder, e.request_id as "requestId", e.priority, e.since, e.kind, e.name,
      e.table_id as "tableId"
    from reached p cross join lateral (${edgesFrom(sql`p.id`)}) as e
    limit ${edgesMax}`.execute(db)
  return rows.map(({ kind, name, ...edge }) => ({
    ...edge,
    lock: kind === null ? null : { kind, name },
  }))
}

/** The transaction that a party is, if it looks like one. */
function transactionOf(party: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`case when ${party} ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then ${party}::uuid end`
}

/**
 * Whom a party waits for: those that have what it wants and cannot have beside them, and of those who go before it in the
 * line for a lock the nearest, who waits for the others himself.
 */
function edgesFrom(party: RawBuilder<unknown>): RawBuilder<unknown> {
  const ofLocks = sql`w.request_id, w.priority, ${ms(sql`w.begun_at`)} as since, l.kind, l.name, null::uuid as table_id`
  return sql`
      select h.holder, ${ofLocks}
      from lock_waits w join locks l on l.id = w.lock_id
      join lock_holders h on h.lock_id = w.lock_id and h.holder <> w.holder
        and h.expires_at > clock_timestamp() and (w.mode = 'exclusive' or h.mode = 'exclusive')
      where w.holder = ${party} and ${countsAs(sql`w`)}
      union all
      select before.holder, ${ofLocks}
      from lock_waits w join locks l on l.id = w.lock_id
      cross join lateral (
        select o.holder from lock_waits o
        where o.lock_id = w.lock_id and o.holder <> w.holder and ${countsAs(sql`o`)}
          and (o.priority > w.priority or (o.priority = w.priority and o.place < w.place))
          and (w.mode = 'exclusive' or o.mode = 'exclusive')
        order by o.priority, o.place desc limit 1
      ) as before
      where w.holder = ${party} and ${countsAs(sql`w`)}
      union all
      select r.transaction_id::text, w.request_id, t.priority, ${ms(sql`t.created_at`)}, null, null,
        w.table_id
      from reservation_waits w join transactions t on t.id = w.transaction_id
      join reservations r on r.table_id = w.table_id and r.transaction_id <> w.transaction_id
      where w.transaction_id = ${transactionOf(party)} and ${countsAs(sql`w`)}`
}
