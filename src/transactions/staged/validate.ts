import { inTransaction } from '../../database/transaction.ts'
import type { StateOperation } from '../../state/operations.ts'
import type { StateLimits } from '../../state/receive-operations.ts'
import { listProgress } from '../../tables/queries.ts'
import type { TransactionViolation } from '../rules.ts'
import { findDuplicateFiles } from './duplicate-files.ts'
import { findStagedViolations, type StagedLimits } from './limits.ts'
import { abandonParts, type PartsContext, receiveParts } from './receive-parts.ts'
import { stagedKind } from './rules.ts'
import { readStaged, type StagedState } from './stage-state.ts'
import { listStagedNamespaces, listStagedState, listVersions } from './state-queries.ts'
import { listStagedTables, type StagedTableRow } from './table-queries.ts'
import { lockActive } from './use-transaction.ts'

/** All that now stands against the commit of a transaction, but for conflicts with what others commit. */
export async function validateTransaction(
  context: PartsContext & StagedLimits & StateLimits,
  id: string,
): Promise<TransactionViolation[]> {
  const { db } = context
  const { row, tables, namespaces, operations } = await inTransaction(db, async (tx) => ({
    row: await lockActive(tx, id),
    tables: await listStagedTables(tx, id),
    namespaces: await listStagedNamespaces(tx, id),
    operations: await listStagedState(tx, id),
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
    ...findStagedViolations(row, { tables, namespaces }, context),
    ...staged.flatMap((table) => judgeTable(table, heads.get(table.tableId))),
    ...(await findDuplicates(context, id, found)),
    ...(await findMismatches(context, readStaged(operations, context))),
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

/** Entries that do not have the version that an operation expects. */
async function findMismatches(
  { db }: PartsContext,
  staged: readonly StagedState[],
): Promise<TransactionViolation[]> {
  const expecting = staged.flatMap(({ namespace, operations }) =>
    operations.flatMap((operation) => {
      const expected = expectedVersion(operation)
      return expected === undefined ? [] : { namespace, key: operation.key, expected }
    }),
  )
  if (expecting.length === 0) return []
  const present = await listVersions(db, expecting)
  return present.flatMap(({ version: actual }, index): TransactionViolation[] => {
    const asked = expecting[index]
    if (asked === undefined || asked.expected === actual) return []
    return [{ type: 'VersionMismatch', ...asked, actual }]
  })
}

function expectedVersion(operation: StateOperation): number | undefined {
  if (operation.kind !== 'put' && operation.kind !== 'delete') return undefined
  const { condition } = operation
  return condition?.kind === 'version' ? condition.versions[0] : undefined
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
