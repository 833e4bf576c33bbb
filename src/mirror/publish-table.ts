import { beforeVersion, listLogLines } from '../commits/log-lines.ts'
import type { Db, Tx } from '../database/connect.ts'
import { inTransaction } from '../database/transaction.ts'
import { openLogFolder, sweepLogFolder } from './log-folder.ts'
import { ForkError, openLogWriter } from './log-writer.ts'
import {
  type LockedMirror,
  lockMirror,
  recordFailure,
  recordFork,
  recordPublished,
} from './queries.ts'
import { retryDelayMs } from './rules.ts'

/** What came of an attempt to publish a table. */
export type Published =
  | { kind: 'idle' }
  | { kind: 'published'; versions: number; more: boolean }
  | { kind: 'forked' | 'failed'; error: string }

const versionsMax = 500
const linesMax = 2000

/** A table to publish, and where to. */
export interface PublishJob {
  tableId: string
  mirrorRoots: readonly string[]
  /** Whether to look for what publishers left that were stopped halfway. Reads the whole folder. */
  sweep: boolean
}

/**
 * Publishes the next versions of a table to its `_delta_log`, in order. A file is there before it is recorded
 * as published; after a crash in between it is met again and found to be the same.
 */
export function publishTable(db: Db, job: PublishJob): Promise<Published> {
  const { tableId } = job
  return inTransaction(db, async (tx) => {
    const mirror = await lockMirror(tx, tableId)
    if (mirror === undefined) return { kind: 'idle' }
    const { published, failure } = await publishVersions(tx, job, mirror)
    if (published > mirror.publishedVersion) await recordPublished(tx, tableId, published)
    if (failure === undefined) {
      const versions = published - mirror.publishedVersion
      return { kind: 'published', versions, more: published < mirror.version }
    }
    const error = failure.message
    if (failure instanceof ForkError) {
      await recordFork(tx, tableId, error)
      return { kind: 'forked', error }
    }
    const attempts = mirror.attempts + 1
    await recordFailure(tx, tableId, { attempts, error, delayMs: retryDelayMs(attempts) })
    return { kind: 'failed', error }
  })
}

/** Writes files until all are there or one fails, and tells how far it came. Errors of the database are thrown. */
async function publishVersions(
  tx: Tx,
  { tableId, mirrorRoots, sweep }: PublishJob,
  mirror: LockedMirror,
): Promise<{ published: number; failure?: Error | undefined }> {
  const { publishedVersion } = mirror
  const to = Math.min(mirror.version, publishedVersion + versionsMax)
  const folder = await attempt(async () => {
    const path = await openLogFolder(mirror.location, mirrorRoots)
    if (sweep) await sweepLogFolder(path)
    return path
  })
  if (folder instanceof Error) return { published: publishedVersion, failure: folder }
  await using writer = openLogWriter(folder)
  let after = beforeVersion(publishedVersion + 1)
  let failure: Error | undefined
  for (let more = true; more && failure === undefined; ) {
    const lines = await listLogLines(tx, { tableId, after, to }, linesMax)
    more = lines.length === linesMax
    after = lines.at(-1) ?? after
    failure = await attemptVoid(() => writer.write(lines))
  }
  failure ??= await attemptVoid(writer.finish)
  const synced = await attempt(writer.sync)
  if (synced instanceof Error) return { published: publishedVersion, failure: failure ?? synced }
  return { published: synced ?? publishedVersion, failure }
}

async function attempt<Result>(work: () => Promise<Result>): Promise<Result | Error> {
  try {
    return await work()
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

async function attemptVoid(work: () => Promise<void>): Promise<Error | undefined> {
  const result = await attempt(work)
  return result instanceof Error ? result : undefined
}
