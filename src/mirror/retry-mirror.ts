import type { Tx } from '../database/connect.ts'
import { deltaLogOf } from '../delta/log-files.ts'
import { applyOnce } from '../idempotency/apply-once.ts'
import type { WriteOutcome } from '../idempotency/rules.ts'
import type { Storage } from '../storage/storage.ts'
import type { Asked } from '../tables/create-table.ts'
import { getTable } from '../tables/get-table.ts'
import type { TableRow } from '../tables/queries.ts'
import { describeTheirs } from './describe-fork.ts'
import { lockMirror, recordFailures, resetMirror } from './queries.ts'
import type { MirrorContext } from './set-paused.ts'

export interface RetryContext extends MirrorContext {
  storage: Storage
}

/**
 * Has the mirror of a table tried at once, as if nothing had failed. Where everything is published it looks for what
 * somebody else has written behind it: that is a fork, too.
 */
export async function retryMirror(
  { db, storage, idempotencyRetentionMs: retentionMs, onMirrorRetry }: RetryContext,
  table: string,
  { idempotent, answer }: Asked<TableRow>,
): Promise<WriteOutcome> {
  const retried: string[] = []
  const outcome = await applyOnce(db, {
    request: idempotent,
    retentionMs,
    answer,
    work: async (tx) => {
      const { id } = await getTable(tx, table)
      await lockMirror(tx, id)
      if (!(await noteForeign(tx, storage, await getTable(tx, id)))) {
        await resetMirror(tx, id)
        retried.push(id)
      }
      return getTable(tx, id)
    },
  })
  if (retried.length > 0) onMirrorRetry(retried)
  return outcome
}

/** Looks for a commit behind all that is published, and records it as a fork; answers whether there is one. */
async function noteForeign(tx: Tx, storage: Storage, table: TableRow): Promise<boolean> {
  if (table.publishedVersion < table.version) return false
  const version = table.version + 1
  const theirs = await lookBehind(storage, table)
  if (theirs === undefined) return false
  const error = `Version ${version} is in the log already, and was not committed here. It can be adopted as long as nothing else is committed.`
  await recordFailures(tx, [
    {
      tableId: table.id,
      attempts: 0,
      error,
      state: 'forked',
      delayMs: undefined,
      fork: { version, theirs },
    },
  ])
  return true
}

/** A storage that does not answer is no reason to refuse: the attempt that follows will tell. */
async function lookBehind(storage: Storage, { location, version }: TableRow) {
  try {
    const folder = await storage.open(deltaLogOf(location))
    return await describeTheirs(folder, version + 1)
  } catch {
    return undefined
  }
}
