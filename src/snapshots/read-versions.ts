import { epochMsOf, historyNotAvailable } from '../commits/history.ts'
import type { Db } from '../database/connect.ts'
import { invalidRequest } from '../http/faults.ts'
import { Problem } from '../problems.ts'
import { tableNotFound } from '../tables/get-table.ts'
import { tableKey } from '../tables/rules.ts'
import { findTransactionTime, transactionNotFound } from '../transactions/queries.ts'
import { inTable } from '../transactions/rules.ts'
import { findTablesAt, type TableAt } from './queries.ts'
import type { CreateSnapshot } from './schema.ts'

/** A table at a version. */
export interface TableVersion {
  tableId: string
  version: number
  inCommitTimestamp: number
}

/**
 * The versions that tables had at one moment: now, at an instant, or when a transaction was committed. Refused when
 * one of them is not there or had no version then; the refusal names it.
 */
export async function readVersions(db: Db, asked: CreateSnapshot): Promise<TableVersion[]> {
  const keys = asked.tables.map(tableKey)
  const rows = await findTablesAt(db, keys, await timeOf(db, asked))
  const found = new Map(rows.map((row) => [row.id, row]))
  for (const row of rows) if (row.droppedAt === null) found.set(row.name, row)
  const index = keys.findIndex((key) => !found.has(key))
  const table = keys[index]
  if (table !== undefined) throw inTable(await tableNotFound(db, table), { table, index })
  return keys.flatMap((key, at) => {
    const row = found.get(key)
    return row === undefined ? [] : versionOf(row, { table: key, index: at })
  })
}

async function timeOf(
  db: Db,
  { timestamp, transactionId }: CreateSnapshot,
): Promise<number | undefined> {
  if (transactionId === undefined) {
    return timestamp === undefined ? undefined : epochMsOf(timestamp, 'body')
  }
  if (timestamp !== undefined) {
    const message = 'cannot be given with timestamp'
    throw invalidRequest('body', [{ pointer: '/transactionId', message }])
  }
  const time = await findTransactionTime(db, transactionId)
  if (time === undefined) throw transactionNotFound(transactionId)
  return time
}

function versionOf(row: TableAt, place: { table: string; index: number }): TableVersion {
  const { id: tableId, version, inCommitTimestamp, historyFrom, newestVersion } = row
  if (version !== null && inCommitTimestamp !== null) return { tableId, version, inCommitTimestamp }
  const problem =
    historyFrom > 0
      ? historyNotAvailable('The time', historyFrom)
      : new Problem('version-not-found', 'The table did not exist then.', {
          facts: { currentVersion: newestVersion },
        })
  throw inTable(problem, place)
}
