import { insertCheckpoints } from '../checkpoints/queries.ts'
import type { TableInsert } from '../commits/rows.ts'
import type { Tx } from '../database/connect.ts'
import { insertMirror } from '../mirror/queries.ts'
import { insertTable } from './queries.ts'

/** Issues the rows of a new table beside those of its version 0, in the order in which they must run. */
export function insertNewTable(tx: Tx, { head, location }: TableInsert): Promise<void>[] {
  return [
    insertTable(tx, head, location),
    insertMirror(tx, head.id),
    insertCheckpoints(tx, { tableId: head.id, publishedVersion: -1 }),
  ]
}
