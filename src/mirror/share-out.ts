import { beforeVersion, type LogLine, listLogs } from '../commits/log-lines.ts'
import type { Tx } from '../database/connect.ts'
import type { Storage } from '../storage/storage.ts'
import type { LogWriterLimits } from './log-writer.ts'
import { type Course, planOrder } from './order.ts'
import { type LockedMirror, listWaitingParts, lockMirrors } from './queries.ts'

/**
 * What tables that are published together have at most: versions, those of tables with transactions among them, lines at
 * once, files open at once, and characters in these. The time, in milliseconds, is well below that after which
 * PostgreSQL ends a transaction that does nothing: what a slow store has taken by then is recorded.
 */
const roundMax = {
  versions: 500,
  versionsShared: 256,
  lines: 8000,
  files: 256,
  chars: 32 * 1024 * 1024,
  ms: 10_000,
}

/** Tables to publish, and where to. */
export interface PublishJob {
  tableIds: readonly string[]
  storage: Storage
  /** Whether to look for what publishers left that were stopped halfway. Reads the whole folder. */
  sweep: boolean
  /** Whether versions of any size are published, as they are of a table by itself. */
  isWhole?: boolean
  /** Stores that are left alone: no transaction waits for its tables there. */
  restingStores?: readonly string[]
}

/** A table's share in a round. */
export interface Share {
  job: PublishJob
  mirror: LockedMirror
  course: Course
  /** The first lines that wait. */
  lines: readonly LogLine[]
  linesMax: number
  limits: LogWriterLimits
  isWhole: boolean
}

/** Locks the tables that can be published, and reads the first lines of all in one statement. */
export async function shareOut(tx: Tx, job: PublishJob): Promise<Share[]> {
  const mirrors = await lockMirrors(tx, job.tableIds)
  if (mirrors.length === 0) return []
  const part = (max: number) => Math.ceil(max / mirrors.length)
  const courses = await planCourses(tx, job, mirrors)
  const linesMax = part(roundMax.lines)
  const logs = await listLogs(
    tx,
    mirrors.map(({ tableId, publishedVersion }) => ({
      tableId,
      after: beforeVersion(publishedVersion + 1),
      to: courses.get(tableId)?.to ?? publishedVersion,
    })),
    linesMax,
  )
  return mirrors.map((mirror) => ({
    job,
    mirror,
    course: courses.get(mirror.tableId) ?? { to: mirror.publishedVersion, shared: new Map() },
    lines: logs.get(mirror.tableId) ?? [],
    linesMax,
    limits: { files: part(roundMax.files), chars: part(roundMax.chars), ms: roundMax.ms },
    isWhole: job.isWhole === true || mirrors.length === 1,
  }))
}

/** How far each table may go. Where none has part in a transaction the database is not asked. */
async function planCourses(
  tx: Tx,
  { restingStores = [] }: PublishJob,
  mirrors: readonly LockedMirror[],
): Promise<Map<string, Course>> {
  const spans = mirrors.map(({ tableId, version, publishedVersion, isShared }) => {
    const max = isShared ? roundMax.versionsShared : roundMax.versions
    const to = Math.min(version, publishedVersion + Math.ceil(max / mirrors.length))
    return { tableId, publishedVersion, to, isShared }
  })
  const shared = spans.filter(({ isShared }) => isShared)
  const parts = shared.length > 0 ? await listWaitingParts(tx, shared, restingStores) : []
  return planOrder(spans, parts)
}
