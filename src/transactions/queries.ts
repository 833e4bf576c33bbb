import { sql } from 'kysely'
import type { TransactionTerms } from '../commits/unit.ts'
import type { Db, Tx } from '../database/connect.ts'
import { Problem } from '../problems.ts'
import type { TransactionState } from './states.ts'

/** A row of `transactions`. */
export interface TransactionRow extends TransactionTerms {
  state: TransactionState
  createdAt: string
  /** When it ends by itself, if it is staged. */
  expiresAt: string | null
  endedAt: string | null
  /** What became of each table, as JSON. */
  tables: string | null
  /** What became of the state, as JSON; null where nothing was done to it. */
  stateResults: string | null
}

export async function insertTransactions(tx: Tx, rows: readonly TransactionRow[]): Promise<void> {
  if (rows.length === 0) return
  await sql`
    insert into transactions (id, state, isolation_level, priority, label, created_at, ended_at,
      tables, state_results)
    select * from unnest(
      ${rows.map((row) => row.id)}::uuid[],
      ${rows.map((row) => row.state)}::text[],
      ${rows.map((row) => row.isolationLevel)}::text[],
      ${rows.map((row) => row.priority)}::smallint[],
      ${rows.map((row) => row.label ?? null)}::text[],
      ${rows.map((row) => row.createdAt)}::timestamptz[],
      ${rows.map((row) => row.endedAt)}::timestamptz[],
      ${rows.map((row) => row.tables)}::json[],
      ${rows.map((row) => row.stateResults)}::json[])`.execute(tx)
}

/**
 * The state that a transaction is in. Its time may be over, or a commit given up, before a server has noted so. A commit
 * that took effect is never given up, for the state was changed with it.
 */
export const presentState = sql<TransactionState>`case
        when state = 'committing' and claimed_until > clock_timestamp() then state
        when state not in ('active', 'committing') then state
        when expires_at <= clock_timestamp() then 'expired'
        else 'active' end`

/** The columns of a `TransactionRow`, without those that tell what became of it. */
export const transactionColumns = sql`
      id, ${presentState} as state, isolation_level as "isolationLevel", priority, label,
      created_at as "createdAt", expires_at as "expiresAt",
      case when ended_at is null and ${presentState} = 'expired' then expires_at else ended_at end
        as "endedAt"`

/** The columns that tell what became of it. */
export const resultColumns = sql`tables, state_results as "stateResults"`

export async function findTransaction(db: Db, id: string): Promise<TransactionRow | undefined> {
  const { rows } = await sql<TransactionRow>`
    select ${transactionColumns}, ${resultColumns} from transactions where id = ${id}::uuid`.execute(
    db,
  )
  return rows[0]
}

/** The inCommitTimestamp of a transaction's commits; of one that made none, of the newest that it found there already. */
export async function findTransactionTime(db: Db, id: string): Promise<number | undefined> {
  const { rows } = await sql<{ time: number }>`
    select max((one ->> 'inCommitTimestamp')::bigint) as time
    from transactions cross join json_array_elements(tables) one
    where id = ${id}::uuid
    group by id`.execute(db)
  return rows[0]?.time
}

/** The refusal for a transaction that is not there. */
export function transactionNotFound(id: string): Problem {
  return new Problem('transaction-not-found', `No transaction has the id ${id}.`)
}

/** A transaction as a list tells of it. */
export interface TransactionSummary extends Omit<TransactionRow, 'tables' | 'stateResults'> {
  numTables: number
}

/** The place of a transaction in the list; `createdAt` in epoch milliseconds. */
export interface TransactionPlace {
  createdAt: number
  id: string
}

/** Transactions, newest first, from behind `after`. Found by transactions_created_idx or transactions_state_idx. */
export async function listTransactions(
  db: Db,
  { state }: { state: TransactionState | undefined },
  { after, limit }: { after: TransactionPlace | undefined; limit: number },
): Promise<TransactionSummary[]> {
  const ofState = state === undefined ? sql`true` : sql`state = ${state}`
  const behind =
    after === undefined
      ? sql`true`
      : sql`(created_at, id) <
          (timestamptz 'epoch' + ${after.createdAt} * interval '1 ms', ${after.id}::uuid)`
  const { rows } = await sql<TransactionSummary>`
    select ${transactionColumns}, coalesce(json_array_length(tables), (
        select count(*) from transaction_tables s
        where s.transaction_id = t.id and s.fields is not null
      )) as "numTables"
    from transactions t
    where ${ofState} and ${behind}
    order by created_at desc, id desc
    limit ${limit}`.execute(db)
  return rows
}
