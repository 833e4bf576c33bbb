import type { Pool, Tx } from '../database/connect.ts'
import { type CopySession, withCopySession } from '../database/copy-in.ts'
import { commitFileName, deltaLogOf, parseLogFileName } from '../delta/log-files.ts'
import { applyOnce } from '../idempotency/apply-once.ts'
import type { WriteOutcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import type { Folder, StoredFile } from '../storage/storage.ts'
import type { Asked } from '../tables/create-table.ts'
import { getTable } from '../tables/get-table.ts'
import { continueTable, stageContinuation } from '../tables/import/continue-table.ts'
import { untilRefused } from '../tables/import/stage-history.ts'
import { headOf, lockHeads, type TableRow } from '../tables/queries.ts'
import { refuseReserved } from '../transactions/reservations/refuse-reserved.ts'
import { lockMirror, recordPublished, resetMirror } from './queries.ts'
import type { RetryContext } from './retry-mirror.ts'

export interface AdoptContext extends RetryContext {
  /** For COPY of what is read. */
  stagePool: Pool
  /** Told of tables that have a new version, once it is durable. */
  onCommitted: (tableIds: readonly string[]) => void
}

/**
 * Takes in what others have written behind the newest version of a table: it becomes the table's next versions, as if
 * it had been imported with them. Refused when something that was committed here is not published, for then both
 * sides have versions of the same numbers. Nothing in the folder is changed.
 */
export async function adoptCommits(
  context: AdoptContext,
  table: string,
  { idempotent, answer }: Asked<TableRow>,
): Promise<WriteOutcome> {
  const adopted: string[] = []
  const outcome = await withCopySession(context.stagePool, (session) =>
    applyOnce(session.db, {
      request: idempotent,
      retentionMs: context.idempotencyRetentionMs,
      answer,
      work: async (tx) => {
        const row = await getTable(tx, table)
        const folder = await context.storage.open(deltaLogOf(row.location))
        await untilRefused(tx, () => adopt(tx, session, { row, folder }))
        adopted.push(row.id)
        return getTable(tx, row.id)
      },
    }),
  )
  if (adopted.length > 0) context.onCommitted(adopted)
  return outcome
}

/** Reads what stands behind the newest version, then locks the table and takes it in unless something has come between. */
async function adopt(
  tx: Tx,
  session: CopySession,
  { row, folder }: { row: TableRow; folder: Folder },
): Promise<void> {
  refuseDropped(row)
  const { commits, next } = await listCommits(folder, row.publishedVersion + 1)
  if (row.publishedVersion < row.version) throw notAdoptable(row, commits)
  if (commits.length === 0 && next !== undefined) throw missing(row.version + 1, next)
  const read = headOf(row)
  const foreign =
    commits.length > 0
      ? await stageContinuation(tx, session, { folder, commits, head: read })
      : undefined
  const locked = await lockHeads(tx, [row.id])
  const [head] = locked.heads
  await lockMirror(tx, row.id)
  const now = await getTable(tx, row.id)
  refuseDropped(now)
  if (now.publishedVersion < now.version) throw notAdoptable(now, commits)
  // Another request may have taken them in meanwhile.
  if (head === undefined || now.version > row.version) return
  if (foreign === undefined) return resetMirror(tx, row.id)
  await refuseReserved(tx, locked)
  await continueTable(tx, head, foreign)
  await recordPublished(tx, [{ tableId: row.id, version: foreign.history.newest }])
}

/** The commits from a version on, up to the first gap, and the version behind that. */
async function listCommits(
  folder: Folder,
  from: number,
): Promise<{ commits: readonly StoredFile[]; next?: number }> {
  const commits: StoredFile[] = []
  const startAfter = from > 0 ? commitFileName(from - 1) : ''
  for await (const file of folder.list({ startAfter })) {
    const named = parseLogFileName(file.name)
    if (named?.kind !== 'commit' || named.version < from) continue
    if (named.version !== from + commits.length) return { commits, next: named.version }
    commits.push(file)
  }
  return { commits }
}

function missing(version: number, next: number): Problem {
  return new Problem(
    'not-adoptable',
    `The log goes on with version ${next}, and version ${version} is missing: what it did cannot be known. Bring its file back, or drop the table here and import it anew from a checkpoint.`,
    { facts: { theirs: { from: next } } },
  )
}

function refuseDropped({ id, name, droppedAt }: TableRow): void {
  if (droppedAt === null) return
  throw new Problem('table-dropped', `The table ${name} was dropped at ${droppedAt}.`, {
    facts: { tableId: id },
  })
}

/** The refusal for a table that has versions of its own which are not published. */
function notAdoptable(row: TableRow, commits: readonly StoredFile[]): Problem {
  const ours = { from: row.publishedVersion + 1, to: row.version }
  const theirs = { from: ours.from, to: row.publishedVersion + commits.length }
  const own = `Versions ${ours.from} to ${ours.to} were committed here and are not published`
  const detail =
    commits.length === 0
      ? `${own}; nothing else stands in their place. They are published first: retry without a policy, then adopt what follows.`
      : `${own}, and the log holds files for versions ${theirs.from} to ${theirs.to}. A version cannot be two things. If they are ours, as a retry without a policy tells, adopt what follows them. If not, move the files of the others out of the log and keep them, retry without a policy to publish ours, then commit again here what the others did; their data files are untouched.`
  return new Problem('not-adoptable', detail, {
    facts: { ours, ...(commits.length > 0 && { theirs }) },
  })
}
