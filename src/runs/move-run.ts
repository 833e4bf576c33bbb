import type { Tx } from '../database/connect.ts'
import type { Long } from '../delta/actions.ts'
import { applyOnce } from '../idempotency/apply-once.ts'
import type { WriteOutcome } from '../idempotency/rules.ts'
import type { Asked } from '../tables/create-table.ts'
import type { RunContext } from './begin-run.ts'
import { takeNumber } from './number-queries.ts'
import { getRun, type RunRow, updateSequence } from './queries.ts'
import { runFinished } from './rules.ts'

/** The number that a run has come to: the one that it gives out next. */
export interface RunProgress {
  runId: string
  commitSequence: Long
}

/** Gives out the next number of a run, to one caller alone; answers the number behind it. */
export function takeNext(
  { db, idempotencyRetentionMs: retentionMs }: RunContext,
  runId: string,
  { idempotent, answer }: Asked<RunProgress>,
): Promise<WriteOutcome> {
  return applyOnce(db, {
    request: idempotent,
    retentionMs,
    answer,
    work: async (tx) => {
      const commitSequence = await takeNumber(tx, runId)
      return { runId, commitSequence: commitSequence ?? (await refuse(tx, runId)) }
    },
  })
}

/** Has a run go on from a number, further on or back. */
export function setSequence(
  { db, idempotencyRetentionMs: retentionMs }: RunContext,
  { runId, commitSequence }: { runId: string; commitSequence: number },
  { idempotent, answer }: Asked<RunRow>,
): Promise<WriteOutcome> {
  return applyOnce(db, {
    request: idempotent,
    retentionMs,
    answer,
    work: async (tx) =>
      (await updateSequence(tx, runId, commitSequence)) ?? (await refuse(tx, runId)),
  })
}

/** Says why a run does not go on. */
async function refuse(tx: Tx, runId: string): Promise<never> {
  throw runFinished(await getRun(tx, runId))
}
