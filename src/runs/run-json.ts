import type { Long } from '../delta/actions.ts'
import { memberTexts, objectText } from '../http/json-text.ts'
import type { RunProgress } from './move-run.ts'
import type { AttemptRow, GapRow } from './number-queries.ts'
import type { RunRow } from './queries.ts'

/** A run, its metadata token for token. */
export function runText({ label, metadata, finishedAt, ...run }: RunRow): string {
  const { runId, commitSequence, status, createdAt } = run
  return objectText({
    ...memberTexts({ runId, label: label ?? undefined, commitSequence, status, createdAt }),
    ...memberTexts({ finishedAt: finishedAt ?? undefined }),
    metadata: metadata ?? undefined,
  })
}

/** The number that was given out, as a proposal takes it, and the next one. */
export function nextText({ runId, commitSequence }: RunProgress): string {
  return objectText({
    idempotency: objectText(memberTexts({ appId: runId, version: before(commitSequence) })),
    ...memberTexts({ commitSequence }),
  })
}

function before(number: Long): Long {
  return typeof number === 'bigint' ? number - 1n : number - 1
}

export function attemptText({ attemptId, problemCode, detail, ...attempt }: AttemptRow): string {
  const { commitSequence, outcome, attemptedAt } = attempt
  return objectText({
    ...memberTexts({
      attemptId,
      commitSequence,
      outcome,
      tableId: attempt.tableId ?? undefined,
      tableName: attempt.tableName ?? undefined,
      version: attempt.version ?? undefined,
      transactionId: attempt.transactionId ?? undefined,
      attemptedAt,
      problem: problemCode === null ? undefined : { code: problemCode, detail },
    }),
  })
}

export function gapText(gap: GapRow): string {
  return objectText(memberTexts({ ...gap }))
}
