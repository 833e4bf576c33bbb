import type { Db, Tx } from '../database/connect.ts'
import { inTransaction } from '../database/transaction.ts'
import { fileKeysOf } from '../delta/paths.ts'
import { claimKeys, findAnswers, insertAnswers, keysOf } from '../idempotency/queries.ts'
import type { Outcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import { lockHeads, updateHeads } from '../tables/queries.ts'
import { judgeBatch } from './judge.ts'
import {
  endFiles,
  findCommits,
  findLiveFiles,
  insertActions,
  insertCommits,
  insertFiles,
  supersedeActions,
} from './queries.ts'
import type { Head, Writes } from './rows.ts'
import type { Part, Unit } from './unit.ts'

/** What became of a batch: an outcome or a refusal for each unit, and the tables that have a new version. */
export interface BatchResult {
  outcomes: (Outcome | Problem)[]
  changedTables: string[]
}

/**
 * Commits a batch of units in one PostgreSQL transaction: lock, read, judge, write. The number of statements
 * does not depend on the number of units, files or tables. When it throws nothing was committed, except when it
 * throws a `Problem`: then the database was asked to commit and its answer was lost.
 */
export async function commitBatch(
  db: Db,
  units: readonly Unit[],
  { idempotencyRetentionMs }: { idempotencyRetentionMs: number },
): Promise<BatchResult> {
  const parts = units.flatMap((unit) => unit.parts)
  const keys = keysOf(units.map((unit) => unit.idempotent))
  let isCommitting = false
  const work = inTransaction(db, async (tx) => {
    const busy = await claimKeys(tx, keys)
    const { heads, now } = await lockHeads(tx, [...new Set(parts.map((part) => part.table))])
    const kept = await findAnswers(tx, keys, idempotencyRetentionMs)
    const touched = touchedPlaces(parts, heads)
    const liveFiles = await findLiveFiles(tx, touched.files)
    const winners = await findCommits(tx, touched.versions)
    const { outcomes, writes } = judgeBatch(
      units,
      { now, heads, liveFiles, winners },
      { busy, kept },
    )
    await write(tx, writes)
    isCommitting = true
    return { outcomes, changedTables: writes.heads.map((head) => head.id) }
  })
  return work.catch((error) => {
    throw isCommitting && !isRefusal(error) ? inDoubt(error) : error
  })
}

/** An error that ends a transaction but not its session comes from a database that did not commit. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'severity' in error && error.severity === 'ERROR'
}

function inDoubt(cause: unknown): Problem {
  return new Problem(
    'database-unavailable',
    'PostgreSQL went away during the commit, and whether it took effect is not known. Repeat it with its Idempotency-Key, or look first.',
    { headers: { 'retry-after': '1' }, cause },
  )
}

/** The places of the tables that the verdicts depend on: files named, and versions expected but taken. */
function touchedPlaces(parts: readonly Part[], heads: readonly Head[]) {
  const byName = new Map(
    heads.flatMap((head) => [[head.id, head] as const, [head.name, head] as const]),
  )
  const files: { tableId: string; path: string }[] = []
  const versions: { tableId: string; version: number }[] = []
  for (const { table, proposal } of parts) {
    const head = byName.get(table)
    if (head === undefined) continue
    const tableId = head.id
    for (const path of fileKeysOf(proposal.actions)) files.push({ tableId, path })
    const version = proposal.expectedVersion
    if (version !== undefined && version <= head.version) versions.push({ tableId, version })
  }
  return { files, versions }
}

async function write(tx: Tx, writes: Writes): Promise<void> {
  await insertCommits(tx, writes.commits)
  await endFiles(tx, writes.fileUpdates)
  await insertFiles(tx, writes.files)
  await supersedeActions(tx, writes.actionUpdates)
  await insertActions(tx, writes.actions)
  await updateHeads(tx, writes.heads)
  await insertAnswers(tx, writes.answers)
}
