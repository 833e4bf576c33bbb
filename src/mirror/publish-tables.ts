import { beforeVersion, type LogLine, listLogLines, listLogs } from '../commits/log-lines.ts'
import type { Db, Tx } from '../database/connect.ts'
import { inTransaction } from '../database/transaction.ts'
import { deltaLogOf, parseLogFileName } from '../delta/log-files.ts'
import type { Storage } from '../storage/storage.ts'
import { describeFork } from './describe-fork.ts'
import { ForkError, type LogWriterLimits, openLogWriter } from './log-writer.ts'
import {
  findCommitTimes,
  type LockedMirror,
  lockMirrors,
  type MirrorFailure,
  recordFailures,
  recordPublished,
} from './queries.ts'
import { type FailureKind, type Fork, failureKind, nextAttempt, storeOf } from './rules.ts'

/**
 * What came of an attempt to publish a table. With `more` there are further versions; when none was published
 * then, the next is too large to be published together with other tables.
 */
export type Published =
  | { kind: 'idle' }
  | { kind: 'published'; store: string; versions: number; more: boolean }
  | { kind: 'forked' | 'failed'; store: string; failure: FailureKind; error: string }

/**
 * What tables that are published together have at most: versions, lines at once, files open at once, and characters
 * in these. The time, in milliseconds, is well below that after which PostgreSQL ends a transaction that does nothing:
 * what a slow store has taken by then is recorded.
 */
const roundMax = { versions: 500, lines: 8000, files: 256, chars: 32 * 1024 * 1024, ms: 10_000 }

/** Tables to publish, and where to. */
export interface PublishJob {
  tableIds: readonly string[]
  storage: Storage
  /** Whether to look for what publishers left that were stopped halfway. Reads the whole folder. */
  sweep: boolean
}

/** A table's share in a round. */
interface Share {
  job: PublishJob
  mirror: LockedMirror
  /** The first lines that wait. */
  lines: readonly LogLine[]
  to: number
  linesMax: number
  limits: LogWriterLimits
  /** A table by itself is published whatever the size of its versions. */
  isOnly: boolean
}

/** How far a table came. */
interface Progress {
  published: number
  failure?: Error | undefined
  fork?: Fork | undefined
}

/**
 * Publishes the next versions of tables to their `_delta_log`, each in order, and records all in one transaction. A
 * file is there before it is recorded as published; after a crash in between it is met again and found to be the
 * same. What fails at one table is no other's. Answers what came of each.
 */
export function publishTables(db: Db, job: PublishJob): Promise<Map<string, Published>> {
  return inTransaction(db, async (tx) => {
    const mirrors = await lockMirrors(tx, job.tableIds)
    const shares = await shareOut(tx, job, mirrors)
    const ends = await Promise.all(
      shares.map(async (share) => ({ ...share, ...(await publishVersions(tx, share)) })),
    )
    const advanced = ends.filter(({ mirror, published }) => published > mirror.publishedVersion)
    await recordPublished(
      tx,
      advanced.map(({ mirror, published }) => ({ tableId: mirror.tableId, version: published })),
    )
    await recordFailures(tx, ends.flatMap(toFailure))
    const results = new Map<string, Published>(job.tableIds.map((id) => [id, { kind: 'idle' }]))
    for (const end of ends) results.set(end.mirror.tableId, toResult(end))
    return results
  })
}

/** Reads the first lines of all tables in one statement. */
async function shareOut(
  tx: Tx,
  job: PublishJob,
  mirrors: readonly LockedMirror[],
): Promise<Share[]> {
  if (mirrors.length === 0) return []
  const part = (max: number) => Math.ceil(max / mirrors.length)
  const ranges = mirrors.map(({ tableId, version, publishedVersion }) => ({
    tableId,
    after: beforeVersion(publishedVersion + 1),
    to: Math.min(version, publishedVersion + part(roundMax.versions)),
  }))
  const linesMax = part(roundMax.lines)
  const logs = await listLogs(tx, ranges, linesMax)
  return mirrors.map((mirror, index) => ({
    job,
    mirror,
    lines: logs.get(mirror.tableId) ?? [],
    to: ranges[index]?.to ?? mirror.version,
    linesMax,
    limits: { files: part(roundMax.files), chars: part(roundMax.chars), ms: roundMax.ms },
    isOnly: mirrors.length === 1,
  }))
}

/** Writes files until all are there or one fails, and tells how far it came. Errors of the database are thrown. */
async function publishVersions(tx: Tx, share: Share): Promise<Progress> {
  const { job, mirror, to, linesMax, limits } = share
  const { tableId, publishedVersion } = mirror
  const folder = await attempt(async () => {
    const log = await job.storage.open(deltaLogOf(mirror.location))
    if (job.sweep) await log.sweep((name) => parseLogFileName(name)?.kind === 'commit')
    return log
  })
  if (folder instanceof Error) return { published: publishedVersion, failure: folder }
  await using writer = openLogWriter(folder, limits, (versions) =>
    findCommitTimes(tx, tableId, versions),
  )
  let lines = share.isOnly ? share.lines : wholeVersions(share)
  let failure = await attemptVoid(() => writer.write(lines))
  while (lines.length === linesMax && failure === undefined && !writer.isStopped()) {
    const after = lines.at(-1) ?? beforeVersion(publishedVersion + 1)
    lines = await listLogLines(tx, { tableId, after, to }, linesMax)
    failure = await attemptVoid(() => writer.write(lines))
  }
  failure ??= await attemptVoid(writer.finish)
  const synced = await attempt(writer.sync)
  if (synced instanceof Error) return { published: publishedVersion, failure: synced }
  const published = synced ?? publishedVersion
  if (!(failure instanceof ForkError)) return { published, failure }
  const place = { tableId, version: published + 1, headVersion: mirror.version }
  return { published, failure, fork: await describeFork(tx, folder, place) }
}

/** The lines without those of the last version, when there may be more of them. */
function wholeVersions({ lines, linesMax }: Share): readonly LogLine[] {
  if (lines.length < linesMax) return lines
  const last = lines.at(-1)?.version
  return lines.filter(({ version }) => version !== last)
}

function toResult({ mirror, published, failure }: Share & Progress): Published {
  const store = storeOf(mirror.location)
  if (failure === undefined) {
    const versions = published - mirror.publishedVersion
    return { kind: 'published', store, versions, more: published < mirror.version }
  }
  const kind = kindOf(failure)
  const error = failure.message
  return { kind: kind === 'forked' ? 'forked' : 'failed', store, failure: kind, error }
}

function toFailure({ mirror, published, failure, fork }: Share & Progress): MirrorFailure[] {
  if (failure === undefined) return []
  const { tableId, publishedVersion } = mirror
  const attempts = published > publishedVersion ? 1 : mirror.attempts + 1
  const next = nextAttempt(kindOf(failure), attempts, Math.random())
  return [{ tableId, attempts, error: failure.message, fork, ...next }]
}

function kindOf(failure: Error): FailureKind {
  return failure instanceof ForkError ? 'forked' : failureKind(failure)
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
