import { CompiledQuery, type RawBuilder, sql } from 'kysely'
import type { Db, Tx } from '../database/connect.ts'
import type { Holder, LockName, LockRow, LockWrites, Tell, Waiting } from './rows.ts'

/** A lock and its id. */
export interface NamedLock extends LockName {
  id: number
}

/** Those of these locks that there are. */
export async function findLocks(db: Db, names: readonly LockName[]): Promise<NamedLock[]> {
  if (names.length === 0) return []
  const { rows } = await sql<NamedLock>`
    select l.id, l.kind, l.name from ${named(names)} join locks l using (kind, name)`.execute(db)
  return rows
}

/**
 * Makes those of these locks that are not there, in one order so that two makers cannot wait for each other in a circle.
 * A lock that nobody has ever had is none that anybody sees, so it does no harm to make one in vain.
 */
export async function makeLocks(db: Db, names: readonly LockName[]): Promise<void> {
  if (names.length === 0) return
  await sql`
    insert into locks (kind, name)
    select distinct kind, name from ${named(names)}
    where not exists (select from locks l where l.kind = n.kind and l.name = n.name)
    order by kind, name
    on conflict (kind, name) do nothing`.execute(db)
}

function named(names: readonly LockName[]): RawBuilder<unknown> {
  return sql`unnest(
      ${names.map(({ kind }) => kind)}::text[],
      ${names.map(({ name }) => name)}::text[]) as n (kind, name)`
}

/** The row of a lock, and whose it is. */
export type NamedRow = LockRow & LockName

/** Locks the rows of locks in the order of their ids. With `skipHeld` it passes by those that another transaction holds. */
export async function lockLocks(
  tx: Tx,
  ids: readonly number[],
  { skipHeld }: { skipHeld: boolean },
): Promise<NamedRow[]> {
  const { rows } = await sql<NamedRow>`
    select id, kind, name, token, ${ms(sql`delayed_until`)} as "delayedUntil", last_event as "lastEvent",
      revision
    from locks where id = any(${ids}::bigint[])
    order by id
    for update ${skipHeld ? sql`skip locked` : sql``}`.execute(tx)
  return rows
}

/** Who has locks, and what the database says of the time. */
export interface FoundHolders {
  holders: (Holder & { lockId: number })[]
  /** Epoch milliseconds. */
  now: number
  /** Of its write-ahead log: how often a standby has taken over, and one more. */
  timeline: number
}

const timelineText =
  "('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint"

/** Those that have the locks, whose rows must be locked, with those whose time is over. */
export async function listHolders(tx: Tx, ids: readonly number[]): Promise<FoundHolders> {
  const { rows } = await sql<Holder & { lockId: number | null; now: number; timeline: number }>`
    select clock.now, clock.timeline, h.lock_id as "lockId", ${holderColumns}
    from (
      select (extract(epoch from clock_timestamp()) * 1000)::bigint as now,
        ${sql.raw(timelineText)} as timeline
    ) as clock
    left join lock_holders h on h.lock_id = any(${ids}::bigint[])`.execute(tx)
  const [{ now, timeline } = { now: 0, timeline: 1 }] = rows
  const holders = rows.flatMap(({ lockId, ...row }) =>
    lockId === null ? [] : [{ ...row, lockId }],
  )
  return { holders, now, timeline }
}

/** Columns of a row of `lock_holders`, as `h`. */
export const holderColumns = sql`
      h.holder, h.mode, h.token, h.ttl_ms as "ttlMs", h.lock_delay_ms as "lockDelayMs",
      h.metadata::text as metadata, h.request_id as "requestId",
      ${ms(sql`h.granted_at`)} as "grantedAt", ${ms(sql`h.expires_at`)} as "expiresAt"`

/** Names a holder of a lock. */
export interface HolderKey {
  lockId: number
  holder: string
}

/**
 * Locks those of the holders whose time is over and answers them: a lease that is being renewed at this moment is waited
 * for, and goes on.
 */
export async function lockExpired(tx: Tx, keys: readonly HolderKey[]): Promise<HolderKey[]> {
  const { rows } = await sql<HolderKey>`
    select h.lock_id as "lockId", h.holder from ${holderKeys(keys)}
    join lock_holders h on h.lock_id = k.lock_id and h.holder = k.holder
    where h.expires_at <= clock_timestamp()
    order by h.lock_id, h.holder
    for update of h`.execute(tx)
  return rows
}

function holderKeys(keys: readonly HolderKey[]): RawBuilder<unknown> {
  return sql`unnest(
      ${keys.map(({ lockId }) => lockId)}::bigint[],
      ${keys.map(({ holder }) => holder)}::text[]) as k (lock_id, holder)`
}

/** A request in a line as it was found. */
export interface FoundWait extends Waiting {
  lockId: number
  /** Whether it counts: its server lives, and it was not chosen to end a deadlock. */
  counts: boolean
  cycle: string | null
}

/** Requests that wait, of each lock the first; beside them the requests of these ids. */
export async function listWaits(
  tx: Tx,
  ids: readonly number[],
  { requestIds, limit }: { requestIds: readonly string[]; limit: number },
): Promise<FoundWait[]> {
  const { rows } = await sql<FoundWait>`
    select ${waitColumns} from unnest(${ids}::bigint[]) as l (id) cross join lateral (
      select * from lock_waits one
      where one.lock_id = l.id and ${countsAs(sql`one`)}
      order by one.priority desc, one.place
      limit ${limit}
    ) as w
    union all
    select ${waitColumns} from lock_waits w
    where w.request_id = any(${requestIds}::uuid[])
    order by priority desc, place`.execute(tx)
  return rows
}

/** Whether a row of `lock_waits` stands for a request that waits. */
export function countsAs(wait: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(${wait}.cycle is null and ${wait}.alive_until > clock_timestamp())`
}

/** Columns of a row of `lock_waits`, as `w`. */
export const waitColumns = sql`
      w.lock_id as "lockId", w.request_id as "requestId", w.holder, w.mode, w.priority, w.place,
      w.ttl_ms as "ttlMs", w.lock_delay_ms as "lockDelayMs", w.metadata::text as metadata,
      ${ms(sql`w.begun_at`)} as "begunAt", ${countsAs(sql`w`)} as counts, w.cycle::text as cycle`

/** An instant as epoch milliseconds. */
export function ms(instant: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(extract(epoch from ${instant}) * 1000)::bigint`
}

/** What the writes of one lock belong to. */
export type WritesOfLock = LockWrites & { lockId: number; topic: LockName['kind'] }

/** What holds for all writes of a batch. */
export interface WriteSettings {
  /** The timeline on which the locks were read. */
  timeline: number
  /** For how long the server of those who wait lives at least, in milliseconds. */
  aliveMs: number
  tell: Tell
}

/** What was written. */
export interface Written {
  /** Ids of the locks whose writes have been made. */
  lockIds: Set<number>
  /** Epoch milliseconds by the clock of the database. */
  now: number
}

/**
 * Makes the writes of locks in one statement: all those of a lock, or none where it has another revision by now than it
 * was judged on, is on another timeline, or another transaction holds its row.
 */
export async function writeLocks(
  tx: Tx,
  writes: readonly WritesOfLock[],
  { timeline, aliveMs, tell }: WriteSettings,
): Promise<Written> {
  const rows: Record<'moved' | Exclude<keyof LockWrites, 'row'>, object[]> = {
    moved: [],
    gone: [],
    holders: [],
    left: [],
    waits: [],
    broken: [],
    events: [],
  }
  for (const { lockId, topic, row, ...parts } of writes) {
    if (row === undefined) continue
    rows.moved.push({ ...row.after, before: row.before.revision })
    for (const holder of parts.gone) rows.gone.push({ lockId, holder })
    for (const holder of parts.holders) rows.holders.push({ ...holder, lockId })
    for (const requestId of parts.left) rows.left.push({ lockId, requestId })
    for (const waiting of parts.waits) rows.waits.push({ ...waiting, lockId })
    for (const one of parts.broken) rows.broken.push({ ...one, lockId })
    for (const event of parts.events) {
      rows.events.push({ topic, lockId, event: event.event, ...tell(topic, event) })
    }
  }
  const { moved, gone, holders, left, waits, broken, events } = rows
  const parts = [moved, gone, holders, left, waits, broken, events].map((part) =>
    JSON.stringify(part),
  )
  const answer = await tx.executeQuery<{ now: number; id: number | null }>(
    CompiledQuery.raw(writeStatement, [...parts, timeline, aliveMs]),
  )
  return {
    lockIds: new Set(answer.rows.flatMap(({ id }) => id ?? [])),
    now: answer.rows[0]?.now ?? 0,
  }
}

const instantOf = (column: string) => `timestamptz 'epoch' + ${column} * interval '1 ms'`

/**
 * Locks are taken in the order of their ids. The text never changes and the rows of each part come as one JSON: what is
 * done for every hand-over is composed, sent and prepared with as little work as can be.
 */
const writeStatement = `
with moved as (
  update locks l set token = n.token, delayed_until = ${instantOf('n."delayedUntil"')},
    last_event = n."lastEvent", revision = n.revision
  from (
    select a.* from json_to_recordset($1::json) as a (
      id bigint, token bigint, "delayedUntil" bigint, "lastEvent" bigint, revision bigint, before bigint
    )
    join locks own on own.id = a.id and own.revision = a.before
    where (select ${timelineText}) = $8::bigint
    order by own.id
    for update of own skip locked
  ) as n
  where l.id = n.id
  returning l.id
),
gone as (
  delete from lock_holders h
  using json_to_recordset($2::json) as n ("lockId" bigint, holder text) join moved on moved.id = n."lockId"
  where h.lock_id = n."lockId" and h.holder = n.holder
),
put as (
  insert into lock_holders
    (lock_id, holder, mode, token, ttl_ms, lock_delay_ms, metadata, request_id, granted_at, expires_at)
  select n."lockId", n.holder, n.mode, n.token, n."ttlMs", n."lockDelayMs", n.metadata::json,
    n."requestId", ${instantOf('n."grantedAt"')}, ${instantOf('n."expiresAt"')}
  from json_to_recordset($3::json) as n (
    "lockId" bigint, holder text, mode text, token bigint, "ttlMs" bigint, "lockDelayMs" bigint,
    metadata text, "requestId" uuid, "grantedAt" bigint, "expiresAt" bigint
  ) join moved on moved.id = n."lockId"
  on conflict (lock_id, holder) do update set
    mode = excluded.mode, token = excluded.token, ttl_ms = excluded.ttl_ms,
    lock_delay_ms = excluded.lock_delay_ms, metadata = excluded.metadata,
    request_id = excluded.request_id, granted_at = excluded.granted_at,
    expires_at = excluded.expires_at
),
departed as (
  delete from lock_waits w
  using json_to_recordset($4::json) as n ("lockId" bigint, "requestId" uuid) join moved on moved.id = n."lockId"
  where w.request_id = n."requestId"
),
lined_up as (
  insert into lock_waits
    (request_id, lock_id, holder, mode, priority, ttl_ms, lock_delay_ms, metadata, begun_at, alive_until)
  select n."requestId", n."lockId", n.holder, n.mode, n.priority, n."ttlMs", n."lockDelayMs",
    n.metadata::json, ${instantOf('n."begunAt"')}, clock_timestamp() + $9::bigint * interval '1 ms'
  from rows from (
    json_to_recordset($5::json) as (
      "lockId" bigint, "requestId" uuid, holder text, mode text, priority smallint, "ttlMs" bigint,
      "lockDelayMs" bigint, metadata text, "begunAt" bigint
    )
  ) with ordinality as n (
    "lockId", "requestId", holder, mode, priority, "ttlMs", "lockDelayMs", metadata, "begunAt", ord
  ) join moved on moved.id = n."lockId"
  order by n.ord
),
broken as (
  update lock_waits w set cycle = n.cycle::json
  from json_to_recordset($6::json) as n ("lockId" bigint, "requestId" uuid, cycle text)
  join moved on moved.id = n."lockId"
  where w.request_id = n."requestId"
),
told as (
  insert into events (topic, subject_id, event, kind, payload)
  select n.topic, n."lockId", n.event, n.kind, n.payload::json
  from json_to_recordset($7::json) as n (
    topic text, "lockId" bigint, event bigint, kind text, payload text
  ) join moved on moved.id = n."lockId"
)
select clock.now, moved.id
from (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now) as clock
left join moved on true`
