import { applyOnce } from '../idempotency/apply-once.ts'
import type { WriteOutcome } from '../idempotency/rules.ts'
import { refuseReserved } from '../transactions/reservations/refuse-reserved.ts'
import { type Asked, type CatalogContext, refuseTakenName } from './create-table.ts'
import { getTable, tableNotFound } from './get-table.ts'
import { lockCatalog, lockHeads, setDropped, type TableRow } from './queries.ts'

/**
 * Drops the table, or brings it back. Data and history stay where they are. A table that is already as asked
 * stays so. Bringing back is refused when another table has taken the name.
 */
export function setTableDropped(
  context: CatalogContext,
  { table, dropped }: { table: string; dropped: boolean },
  { idempotent, answer }: Asked<TableRow>,
): Promise<WriteOutcome> {
  return applyOnce(context.db, {
    request: idempotent,
    retentionMs: context.idempotencyRetentionMs,
    answer,
    work: async (tx) => {
      await lockCatalog(tx)
      const locked = await lockHeads(tx, [table])
      const [head] = locked.heads
      if (head === undefined) throw await tableNotFound(tx, table)
      await refuseReserved(tx, locked)
      if (!dropped && head.droppedAt !== null) await refuseTakenName(tx, head.name)
      await setDropped(tx, [{ id: head.id, isDropped: dropped }])
      return getTable(tx, head.id)
    },
  })
}
