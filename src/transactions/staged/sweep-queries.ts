import { sql } from 'kysely'
import type { Tx } from '../../database/connect.ts'
import { deleteReservations } from '../reservations/queries.ts'

const transactionsMax = 100
/** Rows of lines, each of some tens of kilobytes. */
const rowsMax = 500

/** Notes which transactions have expired; answers how many. */
export async function updateExpired(tx: Tx): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    update transactions set state = 'expired', ended_at = expires_at where id in (
      select id from transactions where state = 'active' and expires_at <= clock_timestamp()
      order by expires_at limit ${transactionsMax} for update skip locked
    )`.execute(tx)
  return Number(numAffectedRows)
}

/** Notes which transactions are active again, for their commit was given up; answers how many. */
export async function updateGivenUp(tx: Tx): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    update transactions set state = 'active', claim = null, claimed_until = null where id in (
      select id from transactions where state = 'committing' and claimed_until <= clock_timestamp()
      order by id limit ${transactionsMax} for update skip locked
    )`.execute(tx)
  return Number(numAffectedRows)
}

/** Some transactions that are over, or rolling back, of which something may be left. */
export async function lockLeftovers(tx: Tx): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from transactions where id in (
      (select id from transactions where is_staged and ended_at is not null
        order by ended_at limit ${transactionsMax})
      union all
      (select id from transactions where state = 'rolling-back' limit ${transactionsMax})
    )
    for update skip locked`.execute(tx)
  return rows.map(({ id }) => id)
}

/** Removes some of the lines that were staged for transactions; answers how many rows there were. */
export async function deleteStagedLines(tx: Tx, ids: readonly string[]): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from transaction_lines where (chunk_id, position) in (
      select l.chunk_id, l.position
      from transaction_chunks c join transaction_lines l on l.chunk_id = c.id
      where c.transaction_id = any(${ids}::uuid[]) and c.first_index is not null
      limit ${rowsMax}
    )`.execute(tx)
  return Number(numAffectedRows)
}

/** Removes what is left of transactions besides lines, and ends those that were rolling back. */
export async function updateSwept(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await sql`
    delete from transaction_chunks
    where transaction_id = any(${ids}::uuid[]) and first_index is not null`.execute(tx)
  await sql`delete from transaction_tables where transaction_id = any(${ids}::uuid[])`.execute(tx)
  await deleteReservations(tx, ids)
  await sql`
    update transactions set is_staged = false, ended_at = coalesce(ended_at, clock_timestamp()),
      state = case state when 'rolling-back' then 'rolled-back' else state end
    where id = any(${ids}::uuid[])`.execute(tx)
}

/** Removes some of what was received of requests that were never whole, of servers that died; answers how many rows. */
export async function deleteUnfinished(tx: Tx, ageMs: number): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    select id from transaction_chunks
    where first_index is null and created_at <= clock_timestamp() - ${ageMs} * interval '1 ms'
    order by created_at limit 10 for update skip locked`.execute(tx)
  if (rows.length === 0) return 0
  const ids = rows.map(({ id }) => id)
  const { numAffectedRows: removed = 0n } = await sql`
    delete from transaction_lines where (chunk_id, position) in (
      select chunk_id, position from transaction_lines
      where chunk_id = any(${ids}::uuid[]) limit ${rowsMax}
    )`.execute(tx)
  if (removed > 0n) return Number(removed)
  await sql`delete from transaction_chunks where id = any(${ids}::uuid[])`.execute(tx)
  return ids.length
}
