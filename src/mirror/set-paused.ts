import type { Db } from '../database/connect.ts'
import { applyOnce } from '../idempotency/apply-once.ts'
import type { WriteOutcome } from '../idempotency/rules.ts'
import type { Asked } from '../tables/create-table.ts'
import { getTable } from '../tables/get-table.ts'
import type { TableRow } from '../tables/queries.ts'
import { updatePaused } from './queries.ts'

/** What every change to a mirror needs. */
export interface MirrorContext {
  db: Db
  idempotencyRetentionMs: number
  /** Told of tables whose mirror is to be tried at once. */
  onMirrorRetry: (tableIds: readonly string[]) => void
}

/**
 * Pauses the mirror of a table or lets it go on. It waits for a publisher that is at work, so once it has answered
 * nothing more is published, by any server, until the mirror is let go on.
 */
export async function setMirrorPaused(
  { db, idempotencyRetentionMs: retentionMs, onMirrorRetry }: MirrorContext,
  { table, isPaused }: { table: string; isPaused: boolean },
  { idempotent, answer }: Asked<TableRow>,
): Promise<WriteOutcome> {
  const resumed: string[] = []
  const outcome = await applyOnce(db, {
    request: idempotent,
    retentionMs,
    answer,
    work: async (tx) => {
      const { id } = await getTable(tx, table)
      await updatePaused(tx, id, isPaused)
      if (!isPaused) resumed.push(id)
      return getTable(tx, id)
    },
  })
  if (resumed.length > 0) onMirrorRetry(resumed)
  return outcome
}
