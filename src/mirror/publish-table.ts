import { beforeVersion, listLogLines } from '../commits/log-lines.ts'
import type { Db, Tx } from '../database/connect.ts'
import { inTransaction } from '../database/transaction.ts'
import { resolveLocation } from '../tables/location.ts'
import { openLogFolder } from './log-folder.ts'
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

/**
 * Publishes the next versions of a table to its `_delta_log`, in order. A file is there before it is recorded
 * as published; after a crash in between it is met again and found to be the same.
 */
export function publishTable(
  db: Db,
  tableId: string,
  mirrorRoots: readonly string[],
): Promise<Published> {
  return inTransaction(db, async (tx) => {
    const mirror = await lockMirror(tx, tableId)
    if (mirror === undefined) return { kind: 'idle' }
    const { published, failure } = await publishVersions(tx, { tableId, mirror, mirrorRoots })
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

interface Job {
  tableId: string
  mirror: LockedMirror
  mirrorRoots: readonly string[]
}

/** Writes files until all are there or one fails, and tells how far it came. Errors of the database are thrown. */
async function publishVersions(
  tx: Tx,
  { tableId, mirror, mirrorRoots }: Job,
): Promise<{ published: number; failure?: Error }> {
  const to = Math.min(mirror.version, mirror.publishedVersion + versionsMax)
  let published = mirror.publishedVersion
  let after = beforeVersion(published + 1)
  const opened = await attempt(async () => {
    await resolveLocation(mirror.location, mirrorRoots)
    return openLogWriter(await openLogFolder(mirror.location))
  })
  if (opened instanceof Error) return { published, failure: opened }
  let failure: Error | undefined
  for (let more = true; more && failure === undefined; ) {
    const lines = await listLogLines(tx, { tableId, after, to }, linesMax)
    more = lines.length === linesMax
    after = lines.at(-1) ?? after
    failure = await attemptVoid(() => opened.write(lines))
  }
  failure ??= await attemptVoid(opened.finish)
  const closed = await attempt(opened.close)
  if (closed instanceof Error) return { published, failure: failure ?? closed }
  published = closed ?? published
  return failure === undefined ? { published } : { published, failure }
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
