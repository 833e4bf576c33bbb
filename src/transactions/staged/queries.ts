import { sql } from 'kysely'
import type { TransactionTerms } from '../../commits/unit.ts'
import type { Db, Tx } from '../../database/connect.ts'
import type { FenceBody } from '../../locks/fence-schema.ts'
import { presentState, resultColumns, type TransactionRow, transactionColumns } from '../queries.ts'

/** The terms of a transaction that is begun, and for how long it may stay active. */
export interface BegunTerms extends TransactionTerms {
  expiresInMs: number
  fences?: readonly FenceBody[] | undefined
}

/** Begins a transaction. */
export async function insertActive(tx: Tx, terms: BegunTerms): Promise<TransactionRow> {
  const { id, isolationLevel, priority, label = null, expiresInMs, fences } = terms
  const fencesJson = fences === undefined ? null : JSON.stringify(fences)
  // Lists tell places by milliseconds.
  const { rows } = await sql<TransactionRow>`
    insert into transactions (id, state, isolation_level, priority, label, created_at, expires_at,
      is_staged, fences)
    select ${id}::uuid, 'active', ${isolationLevel}, ${priority}, ${label}, now,
      now + ${expiresInMs} * interval '1 ms', true, ${fencesJson}::json
    from (select date_trunc('milliseconds', clock_timestamp()) as now) clock
    returning ${transactionColumns}, ${resultColumns}`.execute(tx)
  return rows[0] as TransactionRow
}

/** How many transactions are under way, counted up to `max`. Found by transactions_expires_idx and transactions_leaving_idx. */
export async function countUnderWay(tx: Tx, max: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from (
      (select from transactions where state = 'active' and expires_at > clock_timestamp()
        limit ${max})
      union all
      (select from transactions where state = 'committing' limit ${max})
    ) as under_way`.execute(tx)
  return rows[0]?.count ?? 0
}

/** A transaction as it was locked. */
export interface LockedTransaction extends TransactionRow {
  /** Whether an attempt to commit it was given up. */
  wasCommitting: boolean
  ageMs: number
  /** What all its reads see, once there was one. */
  view: string | null
  /** As JSON. */
  fences: string | null
}

/** Locks a transaction, and so orders all that is done with it. */
export async function lockTransaction(tx: Tx, id: string): Promise<LockedTransaction | undefined> {
  const { rows } = await sql<LockedTransaction>`
    select ${transactionColumns}, ${resultColumns}, view, fences,
      state = 'committing' and ${presentState} <> 'committing' as "wasCommitting",
      (extract(epoch from clock_timestamp() - created_at) * 1000)::bigint as "ageMs"
    from transactions where id = ${id}::uuid
    for update`.execute(tx)
  return rows[0]
}

/** Makes a locked transaction active again, whose attempt to commit was given up. */
export async function updateGivenUp(tx: Tx, id: string): Promise<void> {
  await sql`
    update transactions set state = 'active', claim = null, claimed_until = null
    where id = ${id}::uuid`.execute(tx)
}

/** What all reads of a locked transaction see: fixed by the first of them. */
export async function fixView(tx: Tx, id: string): Promise<string> {
  const { rows } = await sql<{ view: string }>`
    update transactions set view = pg_current_snapshot() where id = ${id}::uuid
    returning view`.execute(tx)
  return rows[0]?.view ?? ''
}

/** The newest version of a table in a view; versions become visible in their order. */
export async function findVersionIn(
  tx: Tx,
  { tableId, view }: { tableId: string; view: string },
): Promise<number | undefined> {
  const { rows } = await sql<{ version: number }>`
    select version from commits
    where table_id = ${tableId}::uuid and pg_visible_in_snapshot(xid, ${view}::pg_snapshot)
    order by version desc
    limit 1`.execute(tx)
  return rows[0]?.version
}

/** Who commits a transaction, and for how long it is taken to live. */
export interface Claim {
  id: string
  claim: string
  forMs: number
}

/** Lets one attempt commit a locked transaction. */
export async function updateCommitting(tx: Tx, { id, claim, forMs }: Claim): Promise<void> {
  await sql`
    update transactions set state = 'committing', claim = ${claim}::uuid,
      claimed_until = clock_timestamp() + ${forMs} * interval '1 ms'
    where id = ${id}::uuid`.execute(tx)
}

/** Goes on with a claim. */
export async function renewClaim(db: Db, { id, claim, forMs }: Claim): Promise<void> {
  await sql`
    update transactions set claimed_until = clock_timestamp() + ${forMs} * interval '1 ms'
    where id = ${id}::uuid and state = 'committing' and claim = ${claim}::uuid`.execute(db)
}

/** Lets go of a claim that came to nothing. */
export async function releaseClaim(db: Db, { id, claim }: Omit<Claim, 'forMs'>): Promise<void> {
  await sql`
    update transactions set state = 'active', claim = null, claimed_until = null
    where id = ${id}::uuid and state = 'committing' and claim = ${claim}::uuid`.execute(db)
}

/** Locks the transactions that these claims stand for, and answers the claims that still stand. */
export async function lockClaims(tx: Tx, claims: readonly ClaimedBy[]): Promise<Set<string>> {
  if (claims.length === 0) return new Set()
  const { rows } = await sql<{ claim: string }>`
    select claim from transactions
    where id = any(${claims.map(({ id }) => id)}::uuid[]) and state = 'committing'
      and claim = any(${claims.map(({ claim }) => claim)}::uuid[])
    order by id
    for update`.execute(tx)
  return new Set(rows.map(({ claim }) => claim))
}

type ClaimedBy = Pick<Claim, 'id' | 'claim'>

/** Ends transactions that `lockClaims` has locked. */
export async function updateCommitted(tx: Tx, rows: readonly TransactionRow[]): Promise<void> {
  if (rows.length === 0) return
  await sql`
    update transactions t
    set state = 'committed', ended_at = c.ended_at, tables = c.tables,
      state_results = c.state_results, claim = null, claimed_until = null
    from unnest(
      ${rows.map(({ id }) => id)}::uuid[],
      ${rows.map(({ endedAt }) => endedAt)}::timestamptz[],
      ${rows.map(({ tables }) => tables)}::json[],
      ${rows.map(({ stateResults }) => stateResults)}::json[])
      as c (id, ended_at, tables, state_results)
    where t.id = c.id`.execute(tx)
}

/** Begins to roll a locked transaction back. */
export async function updateRollingBack(tx: Tx, id: string): Promise<void> {
  await sql`
    update transactions set state = 'rolling-back', claim = null, claimed_until = null
    where id = ${id}::uuid`.execute(tx)
}

/** Ends a transaction that is rolling back, if it still is; answers it as it is then. */
export async function updateRolledBack(tx: Tx, id: string): Promise<TransactionRow | undefined> {
  await sql`
    update transactions set state = 'rolled-back', ended_at = clock_timestamp()
    where id = ${id}::uuid and state = 'rolling-back'`.execute(tx)
  const { rows } = await sql<TransactionRow>`
    select ${transactionColumns}, ${resultColumns} from transactions where id = ${id}::uuid`.execute(
    tx,
  )
  return rows[0]
}
