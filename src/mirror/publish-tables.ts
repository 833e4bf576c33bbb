import { beforeVersion, type LogLine, listLogLines } from '../commits/log-lines.ts'
import type { Db, Tx } from '../database/connect.ts'
import { inTransaction, whileAlive } from '../database/transaction.ts'
import { deltaLogOf, parseLogFileName } from '../delta/log-files.ts'
import { describeFork } from './describe-fork.ts'
import { ForkError, openLogWriter } from './log-writer.ts'
import { Meetings, type Turns } from './meetings.ts'
import { findCommitTimes, type MirrorFailure, recordFailures, recordPublished } from './queries.ts'
import { type FailureKind, type Fork, failureKind, nextAttempt, storeOf } from './rules.ts'
import { type PublishJob, type Share, shareOut } from './share-out.ts'

/**
 * What came of an attempt to publish a table. With `more` there are further versions; when none was published
 * then, the next is too large to be published together with other tables. With `awaits` the next version appears together
 * with those of other tables, all of which are named; when nothing came before it, the table is `held`.
 */
export type Published =
  | { kind: 'idle' }
  | { kind: 'held'; store: string; awaits: readonly string[] }
  | {
      kind: 'published'
      store: string
      versions: number
      /** How many of these went ahead of other tables of their transaction. */
      ahead: number
      more: boolean
      awaits?: readonly string[] | undefined
    }
  | { kind: 'forked' | 'failed'; store: string; failure: FailureKind; error: string }

/** How far a table came. */
interface Progress {
  published: number
  /** Whether the next version has more lines than a table may have in a round with others. */
  isLarge?: boolean
  failure?: Error | undefined
  fork?: Fork | undefined
}

/**
 * Publishes the next versions of tables to their `_delta_log`, each in order and transactions over several tables
 * together, and records all in one transaction. A file is there before it is recorded as published; after a crash in
 * between it is met again and found to be the same. What fails at one table is no other's. Answers what came of each.
 */
export function publishTables(db: Db, job: PublishJob): Promise<Map<string, Published>> {
  return inTransaction(db, async (tx) => {
    const shares = await shareOut(tx, job)
    const ends = await whileAlive(tx, () => publishShares(tx, shares))
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

/** Publishes side by side. Throws once all have come to an end: until then the locks are needed. */
async function publishShares(tx: Tx, shares: readonly Share[]): Promise<(Share & Progress)[]> {
  const meetings = new Meetings(new Map(shares.map((one) => [one.mirror.tableId, one.course])))
  const ends = await Promise.allSettled(
    shares.map(async (share) => {
      const turns = meetings.turns(share.mirror.tableId)
      try {
        return { ...share, ...(await publishVersions(tx, share, turns)) }
      } finally {
        turns.end()
      }
    }),
  )
  return ends.map((end) => {
    if (end.status === 'rejected') throw end.reason
    return end.value
  })
}

/** Writes files until all are there or one fails, and tells how far it came. Errors of the database are thrown. */
async function publishVersions(tx: Tx, share: Share, turns: Turns): Promise<Progress> {
  const { job, mirror, course, linesMax, limits } = share
  const { tableId, publishedVersion } = mirror
  const folder = await attempt(async () => {
    const log = await job.storage.open(deltaLogOf(mirror.location))
    if (job.sweep) await log.sweep((name) => parseLogFileName(name)?.kind === 'commit')
    return log
  })
  if (folder instanceof Error) return { published: publishedVersion, failure: folder }
  await using writer = openLogWriter(folder, limits, {
    findTimes: (versions) => findCommitTimes(tx, tableId, versions),
    turns,
  })
  let lines = share.isWhole ? share.lines : wholeVersions(share)
  const isLarge = lines.length === 0 && share.lines.length > 0
  let failure = await attemptVoid(() => writer.write(lines))
  while (lines.length === linesMax && failure === undefined && !writer.isStopped()) {
    const after = lines.at(-1) ?? beforeVersion(publishedVersion + 1)
    lines = await listLogLines(tx, { tableId, after, to: course.to }, linesMax)
    failure = await attemptVoid(() => writer.write(lines))
  }
  failure ??= await attemptVoid(writer.finish)
  turns.end()
  const synced = await attempt(writer.sync)
  if (synced instanceof Error) return { published: publishedVersion, failure: synced }
  const published = synced ?? publishedVersion
  if (!(failure instanceof ForkError)) return { published, failure, isLarge }
  const place = { tableId, version: published + 1, headVersion: mirror.version }
  return { published, failure, fork: await describeFork(tx, folder, place) }
}

/** The lines without those of the last version, when there may be more of them. */
function wholeVersions({ lines, linesMax }: Share): readonly LogLine[] {
  if (lines.length < linesMax) return lines
  const last = lines.at(-1)?.version
  return lines.filter(({ version }) => version !== last)
}

function toResult({ mirror, course, published, failure, isLarge }: Share & Progress): Published {
  const store = storeOf(mirror.location)
  if (failure !== undefined) {
    const kind = kindOf(failure)
    const error = failure.message
    return { kind: kind === 'forked' ? 'forked' : 'failed', store, failure: kind, error }
  }
  const others = course.shared.get(published + 1)?.others ?? []
  const awaits = others.length > 0 ? [mirror.tableId, ...others] : undefined
  const versions = published - mirror.publishedVersion
  if (versions === 0 && awaits !== undefined && !isLarge) return { kind: 'held', store, awaits }
  const ahead = [...course.shared].filter(
    ([version, { isAhead }]) => isAhead && version <= published,
  ).length
  return { kind: 'published', store, versions, ahead, more: published < mirror.version, awaits }
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
