import { sql } from 'kysely'
import type { Tx } from '../database/connect.ts'
import type { IdempotentRequest, KeptAnswer } from './rules.ts'

/** Seed of the advisory locks' keys, so that these locks meet no other. */
const lockSeed = 1_145_262_155

/**
 * Claims the keys for this transaction and answers those that another one holds. A key must be claimed before
 * its answer is looked for, in a statement of its own, so that the look sees what the holder before committed.
 */
export async function claimKeys(tx: Tx, keys: readonly string[]): Promise<Set<string>> {
  if (keys.length === 0) return new Set()
  const { rows } = await sql<{ key: string }>`
    select key from (
      select key, pg_try_advisory_xact_lock(hashtextextended(key, ${lockSeed})) as claimed
      from unnest(${keys}::text[]) as key
    ) as claims
    where not claimed`.execute(tx)
  return new Set(rows.map((row) => row.key))
}

/** The answers kept under these keys within the retention time. */
export async function findAnswers(
  tx: Tx,
  keys: readonly string[],
  retentionMs: number,
): Promise<Map<string, KeptAnswer>> {
  if (keys.length === 0) return new Map()
  const { rows } = await sql<Omit<KeptAnswer, 'headers'> & { headers: string }>`
    select key, request_hash as "requestHash", status, headers, body from idempotency_keys
    where key = any(${keys}::text[])
      and created_at > clock_timestamp() - ${retentionMs} * interval '1 ms'`.execute(tx)
  return new Map(rows.map((row) => [row.key, { ...row, headers: JSON.parse(row.headers) }]))
}

/** Keeps answers. The keys are claimed and were not found, so what still stands under one has outlived its time. */
export async function insertAnswers(tx: Tx, answers: readonly KeptAnswer[]): Promise<void> {
  if (answers.length === 0) return
  await sql`
    insert into idempotency_keys (key, request_hash, status, headers, body)
    select * from unnest(
      ${answers.map((answer) => answer.key)}::text[],
      ${answers.map((answer) => answer.requestHash)}::bytea[],
      ${answers.map((answer) => answer.status)}::smallint[],
      ${answers.map((answer) => JSON.stringify(answer.headers))}::json[],
      ${answers.map((answer) => answer.body)}::text[])
    on conflict (key) do update set
      request_hash = excluded.request_hash,
      status = excluded.status,
      headers = excluded.headers,
      body = excluded.body,
      created_at = clock_timestamp()`.execute(tx)
}

/** Removes answers that have outlived the retention time, a bounded number at once; answers how many. */
export async function deleteExpiredAnswers(tx: Tx, retentionMs: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from idempotency_keys where key in (
      select key from idempotency_keys
      where created_at <= clock_timestamp() - ${retentionMs} * interval '1 ms'
      order by created_at limit 1000 for update skip locked
    )`.execute(tx)
  return Number(numAffectedRows)
}

/** The claimed keys of requests, sorted, so that two transactions claim them in the same order. */
export function keysOf(
  requests: readonly { idempotent?: IdempotentRequest | undefined }[],
): string[] {
  return [...new Set(requests.flatMap(({ idempotent }) => idempotent?.key ?? []))].sort()
}
