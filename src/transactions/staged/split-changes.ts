import type { CatalogChange, Part } from '../../commits/unit.ts'
import { parseJson } from '../../http/json-reading.ts'
import { Problem } from '../../problems.ts'
import type { CreateTable } from '../../tables/schema.ts'
import { type CreationContext, creationOperation, planCreation } from '../creation.ts'
import { inTable } from '../rules.ts'
import { stagedKind } from './rules.ts'
import type { StagedTableRow } from './table-queries.ts'

/** What is staged, as the committer takes it. */
export interface SplitParts {
  parts: Part[]
  changes: CatalogChange[]
}

/** Sorts out what is staged: proposals to tables, and tables to be made, dropped or brought back. */
export async function splitChanges(
  context: CreationContext,
  rows: readonly StagedTableRow[],
  received: readonly Part[],
): Promise<SplitParts> {
  const parts: Part[] = []
  const changes: CatalogChange[] = []
  const partAt = new Map(received.map((part) => [part.place, part]))
  for (const [place, row] of rows.entries()) {
    const kind = stagedKind(row.fields)
    const part = partAt.get(place)
    if (kind === 'drop' || kind === 'undrop') changes.push({ kind, place, table: row.tableId })
    else if (kind === 'create' && part !== undefined) {
      changes.push(await toCreation(context, row, { ...part, place }))
    } else if (part !== undefined) parts.push(part)
  }
  return { parts, changes }
}

async function toCreation(
  context: CreationContext,
  { tableId, fields, numActions }: StagedTableRow,
  { proposal, place }: Part & { place: number },
): Promise<CatalogChange> {
  const text = fields ?? '{}'
  const { create, operation } = parseJson(text) as { create: CreateTable; operation?: string }
  const plan = await planCreation(context, { create, text, id: tableId }).catch((error) => {
    const at = { table: create.name, index: place }
    throw error instanceof Problem ? inTable(error, at) : error
  })
  const filling = { ...proposal, operation: operation ?? creationOperation(numActions) }
  return { ...plan, place, proposal: filling }
}
