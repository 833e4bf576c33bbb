import { applyOnce } from '../idempotency/apply-once.ts'
import type { WriteOutcome } from '../idempotency/rules.ts'
import type { Asked } from '../tables/create-table.ts'
import type { RunContext } from './begin-run.ts'
import { mergeMetadata, readMetadata } from './metadata.ts'
import { lockRun, type RunRow, updateFinished } from './queries.ts'
import { runFinished } from './rules.ts'
import type { FinishRun } from './schema.ts'

/** Finishes a run. One that has finished like this already stays as it is; one that has finished otherwise refuses. */
export function finishRun(
  { db, idempotencyRetentionMs: retentionMs }: RunContext,
  { runId, body, text }: { runId: string; body: FinishRun; text: string },
  { idempotent, answer }: Asked<RunRow>,
): Promise<WriteOutcome> {
  const { status } = body
  const told = readMetadata(text)
  return applyOnce(db, {
    request: idempotent,
    retentionMs,
    answer,
    work: async (tx) => {
      const run = await lockRun(tx, runId)
      if (run.status === status) return run
      if (run.status !== 'running') throw runFinished(run)
      return updateFinished(tx, runId, { status, metadata: mergeMetadata(run.metadata, told) })
    },
  })
}
