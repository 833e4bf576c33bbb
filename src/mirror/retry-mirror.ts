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

/** Looks for commits behind all that is published, and records them as a fork; answers whether there are any. */
async function noteForeign(tx: Tx, storage: Storage, table: TableRow): Promise<boolean> {
  const version = table.publishedVersion + 1
  const found = await lookBehind(storage, table)
  if (found === undefined) return false
  const { nextVersion } = found
  const error =
    nextVersion === undefined
      ? `Version ${version} is in the log already, and was not committed here. It can be adopted as long as nothing else is committed.`
      : `Version ${nextVersion} is in the log, and was not committed here; version ${version} is missing. Nothing is published in its place. Bring its file back and adopt what stands there, or move the files from version ${nextVersion} on out of the log; then retry.`
  await recordFailures(tx, [
    {
      tableId: table.id,
      attempts: 0,
      error,
      state: 'forked',
      delayMs: undefined,
      fork: { version, ...found },
    },
  ])
  return true
}

/**
 * What of others stands behind all that is published. What was committed here and may be there already is left to the
 * attempt that follows, and so is a storage that does not answer.
 */
async function lookBehind(storage: Storage, { location, version, publishedVersion }: TableRow) {
  try {
    const folder = await storage.open(deltaLogOf(location))
    const found = await describeTheirs(folder, publishedVersion + 1)
    const isOurs = publishedVersion < version && found?.nextVersion === undefined
    return isOurs ? undefined : found
  } catch {
    return undefined
  }
}
