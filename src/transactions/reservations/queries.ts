import { type RawBuilder, sql } from 'kysely'
import type { Db, Tx } from '../../database/connect.ts'
import { presentState } from '../queries.ts'
import type { Blocker, CycleMember, Reservation, WaitEdge } from './rules.ts'

/** Whether the transaction of this id is in one of these states. */
const isIn = (id: RawBuilder<unknown>, states: RawBuilder<unknown>) =>
  sql`exists (select from transactions where id = ${id} and ${presentState} in (${states}))`

const holds = (id: RawBuilder<unknown>) => isIn(id, sql`'active', 'committing'`)

/** Whether a row of `reservation_waits` stands for a request that waits. */
const waits = (wait: RawBuilder<unknown>) =>
  sql`(${wait}.alive_until > clock_timestamp() and ${wait}.cycle is null
    and ${isIn(sql`${wait}.transaction_id`, sql`'active'`)})`

/** The edges of the wait-for graph, from waiters to the transactions that have their tables. */
const edges = sql`(
      select w.transaction_id as waiter, w.table_id, r.transaction_id as holder
      from reservation_waits w
      join reservations r on r.table_id = w.table_id and r.transaction_id <> w.transaction_id
      where ${waits(sql`w`)} and ${holds(sql`r.transaction_id`)}
    )`

const graphLock = 4_919_871_003

/** Lets one request at a time see and change the wait-for graph, so that no two can close a cycle unseen. */
export async function lockGraph(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${graphLock})`.execute(tx)
}

/** The reservations of these tables, whose heads must be locked, as far as they still count. */
export async function findReservations(
  tx: Tx,
  tableIds: readonly string[],
): Promise<Reservation[]> {
  if (tableIds.length === 0) return []
  const { rows } = await sql<Reservation>`
    select r.table_id as "tableId", t.id as "transactionId", t.label, t.expires_at as "expiresAt"
    from reservations r join transactions t on t.id = r.transaction_id
    where r.table_id = any(${tableIds}::uuid[]) and ${holds(sql`r.transaction_id`)}`.execute(tx)
  return rows
}

/** A table that a transaction has reserved. */
export interface ReservedTable {
  tableId: string
  reservedAt: string
}

/** The tables that a transaction has reserved. */
export async function listReserved(db: Db, transactionId: string): Promise<ReservedTable[]> {
  const { rows } = await sql<ReservedTable>`
    select table_id as "tableId", reserved_at as "reservedAt" from reservations
    where transaction_id = ${transactionId}::uuid
    order by reserved_at, table_id`.execute(db)
  return rows
}

/** Reserves tables, whose heads must be locked. What the transaction has already stays as it is. */
export async function insertReservations(
  tx: Tx,
  transactionId: string,
  tableIds: readonly string[],
): Promise<void> {
  await sql`
    insert into reservations (table_id, transaction_id)
    select table_id, ${transactionId}::uuid from unnest(${tableIds}::uuid[]) as table_id
    on conflict (table_id) do update set
      transaction_id = excluded.transaction_id, reserved_at = excluded.reserved_at
    where reservations.transaction_id <> excluded.transaction_id`.execute(tx)
  await sql`
    update tables set is_reserved = true
    where id = any(${tableIds}::uuid[]) and not is_reserved`.execute(tx)
}

/** Notes of locked heads that nothing of them is reserved any more. */
export async function clearReserved(tx: Tx, tableIds: readonly string[]): Promise<void> {
  if (tableIds.length === 0) return
  await sql`
    update tables set is_reserved = false where id = any(${tableIds}::uuid[])`.execute(tx)
}

/** Gives all tables of transactions free. */
export async function deleteReservations(tx: Tx, transactionIds: readonly string[]): Promise<void> {
  await sql`
    delete from reservations where transaction_id = any(${transactionIds}::uuid[])`.execute(tx)
}

/** All tables that a transaction asks for in one request. */
export interface Wait {
  requestId: string
  transactionId: string
  tableIds: readonly string[]
}

/** Notes that a request of a locked transaction waits; its server is taken to live for so long. */
export async function insertWait(
  tx: Tx,
  { requestId, transactionId, tableIds }: Wait,
  aliveMs: number,
): Promise<void> {
  await sql`
    insert into reservation_waits (request_id, table_id, transaction_id, begun_at, alive_until)
    select ${requestId}::uuid, w.table_id, t.id, t.created_at,
      clock_timestamp() + ${aliveMs} * interval '1 ms'
    from transactions t cross join unnest(${tableIds}::uuid[]) as w (table_id)
    where t.id = ${transactionId}::uuid
    on conflict (request_id, table_id) do update set alive_until = excluded.alive_until`.execute(tx)
}

/** Forgets that a request waits. */
export async function deleteWait(db: Db, requestId: string): Promise<void> {
  await sql`
    delete from reservation_waits where request_id = ${requestId}::uuid`.execute(db)
}

/** The cycle that a request was chosen to end, as JSON, if it was. */
export async function findVerdict(tx: Tx, requestId: string): Promise<string | undefined> {
  const { rows } = await sql<{ cycle: string }>`
    select cycle from reservation_waits
    where request_id = ${requestId}::uuid and cycle is not null limit 1`.execute(tx)
  return rows[0]?.cycle
}

/** Ends all that a transaction waits for. */
export async function updateVictim(tx: Tx, transactionId: string, cycle: string): Promise<void> {
  await sql`
    update reservation_waits set cycle = ${cycle}::json
    where transaction_id = ${transactionId}::uuid`.execute(tx)
}

/** The other transactions that have tables of a request. */
export async function listHolders(
  tx: Tx,
  { transactionId, tableIds }: Omit<Wait, 'requestId'>,
): Promise<Blocker[]> {
  const { rows } = await sql<Blocker>`
    select r.table_id as "tableId", t.id as "transactionId", t.label, t.expires_at as "expiresAt",
      false as "isWaiting"
    from reservations r join transactions t on t.id = r.transaction_id
    where r.table_id = any(${tableIds}::uuid[]) and r.transaction_id <> ${transactionId}::uuid
      and ${holds(sql`r.transaction_id`)}
    order by r.table_id`.execute(tx)
  return rows
}

/** Requests of older transactions that wait for one of these tables, as `o`. */
const older = ({ transactionId, tableIds }: Omit<Wait, 'requestId'>) => sql`
    reservation_waits o join transactions own on own.id = ${transactionId}::uuid
      and (o.begun_at, o.transaction_id) < (own.created_at, own.id)
    where o.table_id = any(${tableIds}::uuid[]) and ${waits(sql`o`)}`

/** Whether an older transaction waits for one of these tables. */
export async function hasOlder(tx: Tx, asked: Omit<Wait, 'requestId'>): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    select exists (select from ${older(asked)}) as found`.execute(tx)
  return rows[0]?.found === true
}

/**
 * The older transactions that wait for tables of a request which is noted, and so go first: all but those that, by
 * whatever way, wait for the request itself. Who waits behind it is found along the tables that others have, and along
 * the line for each table, from each to the next younger.
 */
export async function listOlder(tx: Tx, asked: Omit<Wait, 'requestId'>): Promise<Blocker[]> {
  const { rows } = await sql<Blocker>`
    with recursive behind (id) as (
      select ${asked.transactionId}::uuid
      union
      select e.waiter from behind b cross join lateral (
        select w.transaction_id as waiter
        from reservations r join reservation_waits w on w.table_id = r.table_id
        where r.transaction_id = b.id and w.transaction_id <> b.id and ${waits(sql`w`)}
        union all
        select next.transaction_id
        from reservation_waits own cross join lateral (
          select w.transaction_id from reservation_waits w
          where w.table_id = own.table_id and ${waits(sql`w`)}
            and (w.begun_at, w.transaction_id) > (own.begun_at, own.transaction_id)
          order by w.begun_at, w.transaction_id
          limit 1
        ) as next
        where own.transaction_id = b.id and ${waits(sql`own`)}
      ) as e
    )
    select distinct o.table_id as "tableId", t.id as "transactionId", t.label,
      t.expires_at as "expiresAt", true as "isWaiting"
    from transactions t join (
      select o.table_id, o.transaction_id from ${older(asked)}
    ) as o on o.transaction_id = t.id
    where o.transaction_id not in (select id from behind)
    order by o.table_id, t.id`.execute(tx)
  return rows
}

/** The edges by which a transaction waits for itself, and those between them; none when it does not. */
export async function listCycleEdges(tx: Tx, transactionId: string): Promise<WaitEdge[]> {
  const { rows } = await sql<WaitEdge>`
    with recursive reached (id) as (
      select e.holder from ${edges} as e where e.waiter = ${transactionId}::uuid
      union
      select e.holder from reached r join ${edges} as e on e.waiter = r.id
    )
    select distinct e.waiter, e.table_id as "tableId", e.holder
    from reached r join ${edges} as e on e.waiter = r.id
    where exists (select from reached where id = ${transactionId}::uuid)
    order by e.waiter, e.holder, e.table_id`.execute(tx)
  return rows
}

/** What a cycle is judged by, in the order of its edges. */
export async function listMembers(tx: Tx, cycle: readonly WaitEdge[]): Promise<CycleMember[]> {
  const { rows } = await sql<CycleMember>`
    select t.id as "transactionId", t.label, t.priority, t.created_at as "createdAt",
      c.table_id as "tableId"
    from unnest(
      ${cycle.map(({ waiter }) => waiter)}::uuid[],
      ${cycle.map(({ tableId }) => tableId)}::uuid[]) with ordinality as c (id, table_id, place)
    join transactions t on t.id = c.id
    order by c.place`.execute(tx)
  return rows
}

/** A request that should be tried again. */
export interface DueRequest {
  requestId: string
  tableIds: string[]
}

/**
 * Of these requests those whose tables are all free, those that are not to wait any more, and those that are not known to
 * wait; the oldest transactions first.
 */
export async function listDue(db: Db, requestIds: readonly string[]): Promise<DueRequest[]> {
  const { rows } = await sql<DueRequest>`
    select asked.id as "requestId",
      coalesce(array_agg(w.table_id::text) filter (where w.table_id is not null), '{}') as "tableIds"
    from unnest(${requestIds}::uuid[]) as asked (id)
    left join reservation_waits w on w.request_id = asked.id and ${waits(sql`w`)}
    group by asked.id
    having not coalesce(bool_or(exists (
      select from reservations r
      where r.table_id = w.table_id and r.transaction_id <> w.transaction_id
        and ${holds(sql`r.transaction_id`)}
    )), false)
    order by min(w.begun_at) nulls first, asked.id`.execute(db)
  return rows
}

/** Goes on with requests that are known to wait. */
export async function renewWaits(
  db: Db,
  requestIds: readonly string[],
  aliveMs: number,
): Promise<void> {
  await sql`
    update reservation_waits set alive_until = clock_timestamp() + ${aliveMs} * interval '1 ms'
    where request_id = any(${requestIds}::uuid[]) and alive_until > clock_timestamp()`.execute(db)
}

/** Forgets requests of servers that died; answers how many rows there were. */
export async function deleteLapsedWaits(db: Db): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    delete from reservation_waits where (request_id, table_id) in (
      select request_id, table_id from reservation_waits
      where alive_until <= clock_timestamp()
      order by alive_until limit 1000 for update skip locked
    )`.execute(db)
  return Number(numAffectedRows)
}
