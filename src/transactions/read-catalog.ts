import type { CatalogState } from '../commits/ledger.ts'
import type { Head } from '../commits/rows.ts'
import type { CatalogChange, TableCreation } from '../commits/unit.ts'
import type { Tx } from '../database/connect.ts'
import { Problem } from '../problems.ts'
import { findNamesInAnyCase, findTableAround } from '../tables/queries.ts'

/** Reads what changes ask for of the catalogue, which must be locked, as must be the heads of their tables. */
export async function readCatalog(
  tx: Tx,
  changes: readonly CatalogChange[],
  { heads, now }: { heads: readonly Head[]; now: number },
): Promise<CatalogState> {
  const creations = changes.filter((change) => change.kind === 'create')
  const comingBack = heads.filter(({ droppedAt }) => droppedAt !== null)
  const names = [...creations.map(({ table }) => table), ...comingBack.map(({ name }) => name)]
  // One journey for all: statements on a connection do not wait for each other's answers.
  const [namesTaken, around] = await Promise.all([
    findNamesInAnyCase(tx, names),
    Promise.all(creations.map(({ location }) => findTableAround(tx, location))),
  ])
  const known = creations.map(
    (creation, at) =>
      [creation.place, { definition: define(creation, now), around: around[at] }] as const,
  )
  return { namesTaken, creations: new Map(known) }
}

function define(creation: TableCreation, now: number) {
  try {
    return creation.define(now)
  } catch (error) {
    if (error instanceof Problem) return error
    throw error
  }
}
