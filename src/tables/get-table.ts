import type { Db } from '../database/connect.ts'
import { Problem } from '../problems.ts'
import { findNameInAnyCase, findTable, type TableRow } from './queries.ts'
import { isTableId } from './rules.ts'

/** The table of this id or name; throws `table-not-found` with what may have been meant. */
export async function getTable(db: Db, table: string): Promise<TableRow> {
  const found = await findTable(db, table)
  if (found !== undefined) return found
  throw await tableNotFound(db, table)
}

/** The refusal for a table that is not there. */
export async function tableNotFound(db: Db, table: string): Promise<Problem> {
  if (isTableId(table)) return new Problem('table-not-found', `No table has the id ${table}.`)
  const other = await findNameInAnyCase(db, table)
  const hint =
    other === undefined
      ? 'A dropped table is found by its id only.'
      : `There is a table ${other}; names are case-sensitive.`
  return new Problem('table-not-found', `No table has the name "${table}". ${hint}`)
}
