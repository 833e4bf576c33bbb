import { sql } from 'kysely'
import type { Part } from '../../commits/unit.ts'
import type { Db } from '../../database/connect.ts'
import { loggedKey } from '../../delta/paths.ts'
import type { TransactionViolation } from '../rules.ts'

/** Files that are told of at most, for each table. */
const duplicatesMax = 100

/** The files that are added more than once to one table. */
export async function findDuplicateFiles(
  db: Db,
  parts: readonly Part[],
): Promise<TransactionViolation[]> {
  const found = await Promise.all(
    parts.map(async ({ table: tableId, proposal: { actions, staged } }) => {
      const paths =
        staged === undefined
          ? repeatedPaths(actions)
          : staged.mayRepeat
            ? await listRepeatedPaths(db, staged.stage.table)
            : []
      return paths.map((path) => ({ type: 'DuplicateFile' as const, tableId, path }))
    }),
  )
  return found.flat()
}

function repeatedPaths(actions: Part['proposal']['actions']): string[] {
  const met = new Set<string>()
  const repeated = new Set<string>()
  for (const { kind, body } of actions) {
    if (kind !== 'add') continue
    // What is wrong with a path that cannot be kept is told at the commit.
    const path = loggedKey(body.path) ?? ''
    if (path !== '' && met.has(path)) repeated.add(path)
    met.add(path)
  }
  return [...repeated].sort().slice(0, duplicatesMax)
}

async function listRepeatedPaths(db: Db, stage: string): Promise<string[]> {
  const { rows } = await sql<{ path: string }>`
    select path from ${sql.table(stage)} where kind = 'add' and path <> ''
    group by path having count(*) > 1
    order by path limit ${duplicatesMax}`.execute(db)
  return rows.map(({ path }) => path)
}
