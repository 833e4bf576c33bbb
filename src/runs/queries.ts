import { sql } from 'kysely'
import type { Db, Tx } from '../database/connect.ts'
import type { Long } from '../delta/actions.ts'
import { type FinalStatus, type RunStatus, runNotFound } from './rules.ts'

/** A row of `runs`. */
export interface RunRow {
  runId: string
  label: string | null
  /** As JSON. */
  metadata: string | null
  /** The number that is given out next. */
  commitSequence: Long
  status: RunStatus
  createdAt: string
  finishedAt: string | null
}

const runColumns = sql`
      run_id as "runId", label, metadata, commit_sequence as "commitSequence", status,
      created_at as "createdAt", finished_at as "finishedAt"`

/** Makes a run; answers nothing where there is one of this id. */
export async function insertRun(
  tx: Tx,
  run: Pick<RunRow, 'runId' | 'label' | 'metadata' | 'commitSequence'>,
): Promise<RunRow | undefined> {
  const { runId, label, metadata, commitSequence } = run
  // Lists tell places by milliseconds.
  const { rows } = await sql<RunRow>`
    insert into runs (run_id, label, metadata, commit_sequence, created_at)
    values (${runId}, ${label}, ${metadata}::json, ${commitSequence},
      date_trunc('milliseconds', clock_timestamp()))
    on conflict (run_id) do nothing
    returning ${runColumns}`.execute(tx)
  return rows[0]
}

/** The run of this id. Throws a `Problem` when there is none. */
export async function getRun(db: Db, runId: string): Promise<RunRow> {
  const { rows } = await sql<RunRow>`
    select ${runColumns} from runs where run_id = ${runId}`.execute(db)
  return expectRun(runId, rows)
}

/** Locks a run. Throws a `Problem` when there is none. */
export async function lockRun(tx: Tx, runId: string): Promise<RunRow> {
  const { rows } = await sql<RunRow>`
    select ${runColumns} from runs where run_id = ${runId} for no key update`.execute(tx)
  return expectRun(runId, rows)
}

function expectRun(runId: string, [found]: readonly RunRow[]): RunRow {
  if (found === undefined) throw runNotFound(runId)
  return found
}

/** The place of a run in their list; `createdAt` in epoch milliseconds. */
export interface RunPlace {
  createdAt: number
  runId: string
}

/** Which runs are asked for. */
export interface RunFilter {
  status: RunStatus | undefined
  label: string | undefined
}

/** Runs, newest first, from behind `after`. Found by runs_created_idx, runs_status_idx or runs_label_idx. */
export async function listRuns(
  db: Db,
  { status, label }: RunFilter,
  { after, limit }: { after: RunPlace | undefined; limit: number },
): Promise<RunRow[]> {
  const ofStatus = status === undefined ? sql`true` : sql`status = ${status}`
  const ofLabel = label === undefined ? sql`true` : sql`label = ${label}`
  const behind =
    after === undefined
      ? sql`true`
      : sql`(created_at, run_id) <
          (timestamptz 'epoch' + ${after.createdAt} * interval '1 ms', ${after.runId})`
  const { rows } = await sql<RunRow>`
    select ${runColumns} from runs
    where ${ofStatus} and ${ofLabel} and ${behind}
    order by created_at desc, run_id desc
    limit ${limit}`.execute(db)
  return rows
}

/** Says which number a run gives out next, while it runs. */
export async function updateSequence(
  tx: Tx,
  runId: string,
  commitSequence: number,
): Promise<RunRow | undefined> {
  const { rows } = await sql<RunRow>`
    update runs set commit_sequence = ${commitSequence}
    where run_id = ${runId} and status = 'running'
    returning ${runColumns}`.execute(tx)
  return rows[0]
}

/** Finishes a locked run. */
export async function updateFinished(
  tx: Tx,
  runId: string,
  { status, metadata }: { status: FinalStatus; metadata: string | null },
): Promise<RunRow> {
  const { rows } = await sql<RunRow>`
    update runs set status = ${status}, metadata = ${metadata}::json,
      finished_at = clock_timestamp()
    where run_id = ${runId}
    returning ${runColumns}`.execute(tx)
  return expectRun(runId, rows)
}
