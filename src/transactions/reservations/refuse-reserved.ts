import type { Tx } from '../../database/connect.ts'
import type { LockedHeads } from '../../tables/queries.ts'
import { findReservations } from './queries.ts'
import { tableReserved } from './rules.ts'

/** Throws `table-reserved` when a transaction has one of these locked tables for itself. */
export async function refuseReserved(
  tx: Tx,
  { heads, reserved }: Pick<LockedHeads, 'heads' | 'reserved'>,
): Promise<void> {
  const [found] = await findReservations(tx, reserved)
  if (found === undefined) return
  const { name } = heads.find(({ id }) => id === found.tableId) ?? { name: found.tableId }
  throw tableReserved(name, found)
}
