import { inTransaction } from '../../database/transaction.ts'
import { listProgress } from '../../tables/queries.ts'
import type { TransactionViolation } from '../rules.ts'
import { findDuplicateFiles } from './duplicate-files.ts'
import { findStagedViolations, type StagedLimits } from './limits.ts'
import { abandonParts, type PartsContext, receiveParts } from './receive-parts.ts'
import { stagedKind } from './rules.ts'
import { listStagedTables, type StagedTableRow } from './table-queries.ts'
import { lockActive } from './use-transaction.ts'

/** All that now stands against the commit of a transaction, but for conflicts with what others commit. */
export async function validateTransaction(
  context: PartsContext & StagedLimits,
  id: string,
): Promise<TransactionViolation[]> {
  const { db } = context
  const { row, tables } = await inTransaction(db, async (tx) => ({
    row: await lockActive(tx, id),
    tables: await listStagedTables(tx, id),
  }))
  const staged = tables.filter(({ fields }) => fields !== null)
  const present = await listProgress(
    db,
    staged.map(({ tableId }) => tableId),
  )
  const heads = new Map(
    present.flatMap(({ id: tableId, version, droppedAt }) =>
      droppedAt === null ? [[tableId, version] as const] : [],
    ),
  )
  const found = staged.filter(
    ({ tableId, fields }) => heads.has(tableId) || stagedKind(fields) === 'create',
  )
  return [
    ...findStagedViolations(row, tables, context),
    ...staged.flatMap((table) => judgeTable(table, heads.get(table.tableId))),
    ...(await findDuplicates(context, id, found)),
  ]
}

function judgeTable(
  { tableId, fields }: StagedTableRow,
  version: number | undefined,
): TransactionViolation[] {
  // Of changes to which tables there are, only the commit can tell.
  if (stagedKind(fields) !== 'table') return []
  if (version === undefined) return [{ type: 'TableNotFound', tableId }]
  const { expectedVersion: expected } = JSON.parse(fields ?? '{}')
  const actual = version + 1
  if (expected === undefined || expected === actual) return []
  return [{ type: 'VersionMismatch', tableId, expected, actual }]
}

/** Files are compared as they are for a commit, which for many is outside of memory. */
async function findDuplicates(
  context: PartsContext,
  id: string,
  tables: readonly StagedTableRow[],
): Promise<TransactionViolation[]> {
  // That there are too many of them is told beside.
  const unlimited = { ...context, actionsMax: Number.MAX_SAFE_INTEGER }
  const parts = await receiveParts(unlimited, id, tables)
  try {
    return await findDuplicateFiles(context.db, parts)
  } finally {
    await abandonParts(parts)
  }
}
