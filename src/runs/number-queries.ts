import { sql } from 'kysely'
import type { Db, Tx } from '../database/connect.ts'
import type { Long } from '../delta/actions.ts'
import type { Attempt, AttemptOutcome } from './rules.ts'

/** Gives out the next number of a run; answers the one behind it, or nothing where no such run is running. */
export async function takeNumber(tx: Tx, runId: string): Promise<Long | undefined> {
  const { rows } = await sql<{ commitSequence: Long }>`
    with taken as (
      update runs set commit_sequence = commit_sequence + 1
      where run_id = ${runId} and status = 'running'
      returning run_id, commit_sequence
    ), given as (
      insert into run_numbers (run_id, commit_sequence, given_at)
      select run_id, commit_sequence - 1, clock_timestamp() from taken
      on conflict (run_id, commit_sequence) do update set given_at = excluded.given_at
    )
    select commit_sequence as "commitSequence" from taken`.execute(tx)
  return rows[0]?.commitSequence
}

/**
 * Records the attempts of those applications that are runs, and which numbers are committed by them: where the table has
 * that very number, for one that is below the newest is a duplicate too. Must be the last statement of a batch that can
 * wait, and locks numbers in their order, so that no two batches wait for each other.
 */
export async function insertAttempts(tx: Tx, attempts: readonly Attempt[]): Promise<void> {
  if (attempts.length === 0) return
  await sql`
    with recorded as (
      insert into run_attempts (run_id, commit_sequence, table_id, table_name, transaction_id,
        outcome, version, problem_code, detail)
      select a.run_id, a.commit_sequence, a.table_id, a.table_name, a.transaction_id,
        a.outcome, a.version, a.problem_code, a.detail
      from unnest(
        ${attempts.map(({ runId }) => runId)}::text[],
        ${attempts.map(({ commitSequence }) => commitSequence)}::bigint[],
        ${attempts.map(({ tableId }) => tableId)}::uuid[],
        ${attempts.map(({ tableName }) => tableName)}::text[],
        ${attempts.map(({ transactionId }) => transactionId)}::uuid[],
        ${attempts.map(({ outcome }) => outcome)}::text[],
        ${attempts.map(({ version }) => version)}::bigint[],
        ${attempts.map(({ problemCode }) => problemCode)}::text[],
        ${attempts.map(({ detail }) => detail)}::text[])
        with ordinality as a (run_id, commit_sequence, table_id, table_name, transaction_id,
          outcome, version, problem_code, detail, place)
      join runs r on r.run_id = a.run_id
      order by a.place
      returning run_id, commit_sequence, table_id, outcome
    )
    insert into run_numbers (run_id, commit_sequence, committed_at)
    select run_id, commit_sequence, clock_timestamp() from recorded r
    where outcome = 'committed' or (outcome = 'duplicate' and exists (
      select from actions a
      where a.table_id = r.table_id and a.key = r.run_id and a.app_version = r.commit_sequence))
    group by run_id, commit_sequence
    order by run_id, commit_sequence
    on conflict (run_id, commit_sequence) do update set committed_at = excluded.committed_at
    where run_numbers.committed_at is null`.execute(tx)
}

/** A row of `run_attempts`. */
export interface AttemptRow extends Omit<Attempt, 'runId'> {
  attemptId: number
  attemptedAt: string
}

/** Which attempts of a run are asked for. */
export interface AttemptFilter {
  outcome: AttemptOutcome | undefined
  commitSequence: number | undefined
}

/**
 * Attempts of a run, newest first, from behind `after`. Found by run_attempts_pkey, run_attempts_sequence_idx or
 * run_attempts_outcome_idx.
 */
export async function listAttempts(
  db: Db,
  { runId, outcome, commitSequence }: AttemptFilter & { runId: string },
  { after, limit }: { after: number | undefined; limit: number },
): Promise<AttemptRow[]> {
  const ofOutcome = outcome === undefined ? sql`true` : sql`outcome = ${outcome}`
  const ofNumber =
    commitSequence === undefined ? sql`true` : sql`commit_sequence = ${commitSequence}`
  const behind = after === undefined ? sql`true` : sql`attempt_id < ${after}`
  const { rows } = await sql<AttemptRow>`
    select attempt_id as "attemptId", commit_sequence as "commitSequence", table_id as "tableId",
      table_name as "tableName", transaction_id as "transactionId", outcome, version,
      problem_code as "problemCode", detail, attempted_at as "attemptedAt"
    from run_attempts
    where run_id = ${runId} and ${ofOutcome} and ${ofNumber} and ${behind}
    order by attempt_id desc
    limit ${limit}`.execute(db)
  return rows
}

/** A number that was given out and never committed. */
export interface GapRow {
  commitSequence: Long
  givenAt: string
}

/** Gaps of a run in the order of their numbers, from behind `after`, in digits. Found by run_numbers_gaps_idx. */
export async function listGaps(
  db: Db,
  runId: string,
  { after = '-1', limit }: { after: string | undefined; limit: number },
): Promise<GapRow[]> {
  const { rows } = await sql<GapRow>`
    select commit_sequence as "commitSequence", given_at as "givenAt" from run_numbers
    where run_id = ${runId} and given_at is not null and committed_at is null
      and commit_sequence > ${after}::bigint
    order by commit_sequence
    limit ${limit}`.execute(db)
  return rows
}
