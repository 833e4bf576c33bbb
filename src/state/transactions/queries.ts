import { sql } from 'kysely'
import type { TransactionTerms } from '../../commits/unit.ts'
import type { Db, Tx } from '../../database/connect.ts'

/** How an interactive transaction may have ended. */
export type Outcome = 'committed' | 'rolled-back' | 'expired'

/** What is known of an interactive transaction in the database. */
export interface StateTransactionRow {
  id: string
  isolationLevel: TransactionTerms['isolationLevel']
  label: string | null
  idleTimeoutMs: number
  /** Of the process that has it, or had it. */
  serverId: string
  /** The address of that server. */
  server: string
  state: 'active' | Outcome
  createdAt: string
  /** When it ends at the latest. */
  expiresAt: string
  endedAt: string | null
  /** What became of what it wrote, as JSON. */
  stateResults: string | null
}

/** A transaction that is to be begun. */
export interface NewStateTransaction
  extends Pick<
    StateTransactionRow,
    'id' | 'isolationLevel' | 'label' | 'idleTimeoutMs' | 'serverId' | 'server'
  > {
  ageMsMax: number
}

/** A commit that took effect is told by the row that was written with it. */
const isCommitted = sql`t.id is not null or s.outcome = 'committed'`

const columns = sql`
      s.id, s.isolation_level as "isolationLevel", s.label, s.idle_timeout_ms as "idleTimeoutMs",
      s.server_id as "serverId", s.server,
      case when ${isCommitted} then 'committed' when s.outcome is not null then s.outcome
        when s.expires_at <= clock_timestamp() then 'expired' else 'active' end as state,
      s.created_at as "createdAt", s.expires_at as "expiresAt",
      coalesce(t.ended_at, s.ended_at,
        case when s.expires_at <= clock_timestamp() then s.expires_at end) as "endedAt",
      t.state_results as "stateResults"`

export async function findStateTransaction(
  db: Db,
  id: string,
): Promise<StateTransactionRow | undefined> {
  const { rows } = await sql<StateTransactionRow>`
    select ${columns}
    from state_transactions s left join transactions t on t.id = s.id
    where s.id = ${id}::uuid`.execute(db)
  return rows[0]
}

/** Notes that this process begins a transaction. */
export async function insertStateTransaction(
  tx: Tx,
  { id, isolationLevel, label, idleTimeoutMs, serverId, server, ageMsMax }: NewStateTransaction,
): Promise<StateTransactionRow> {
  await sql`
    insert into state_transactions (id, server_id, server, isolation_level, label,
      idle_timeout_ms, created_at, expires_at)
    select ${id}::uuid, ${serverId}::uuid, ${server}, ${isolationLevel}, ${label}, ${idleTimeoutMs},
      now, now + ${ageMsMax} * interval '1 ms'
    from (select date_trunc('milliseconds', clock_timestamp()) as now) clock`.execute(tx)
  const row = await findStateTransaction(tx, id)
  if (row === undefined) throw new Error('a transaction was not begun')
  return row
}

/** Notes how transactions ended, those of them of which nothing was noted yet. */
export async function updateEnded(db: Db, ids: readonly string[], outcome: Outcome): Promise<void> {
  await sql`
    update state_transactions set outcome = ${outcome},
      ended_at = date_trunc('milliseconds', clock_timestamp())
    where id = any(${ids}::uuid[]) and outcome is null`.execute(db)
}

const rowsMax = 1000

/** Removes some transactions that were over so long ago; answers how many. */
export async function deleteStateTransactions(db: Db, retentionMs: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from state_transactions where id in (
      select id from state_transactions
      where expires_at <= clock_timestamp() - ${retentionMs} * interval '1 ms'
      order by expires_at limit ${rowsMax} for update skip locked
    )`.execute(db)
  return Number(numAffectedRows)
}

/** Epoch milliseconds by the database's clock. */
export async function findClock(db: Db): Promise<number> {
  const { rows } = await sql<{ now: number }>`
    select (extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(db)
  return rows[0]?.now ?? 0
}

/** The revision of a namespace as the connection sees it; 0 where it sees none. */
export async function findRevision(db: Db, namespaceId: number): Promise<number> {
  const { rows } = await sql<{ revision: number }>`
    select revision from state_namespaces where id = ${namespaceId}`.execute(db)
  return rows[0]?.revision ?? 0
}
