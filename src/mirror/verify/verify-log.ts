import type { Db, Pool } from '../../database/connect.ts'
import { deltaLogOf, parseLogFileName } from '../../delta/log-files.ts'
import { type BaseSource, type ListedFile, newestCheckpoint } from '../../delta/log-history.ts'
import { fileInTable, listLog } from '../../delta-log/log-folder.ts'
import type { Storage } from '../../storage/storage.ts'
import { getTable } from '../../tables/get-table.ts'
import type { TableRow } from '../../tables/queries.ts'
import { compareCheckpoint } from './compare-checkpoint.ts'
import { compareCommits } from './compare-commits.ts'
import { type Differences, noteDifference } from './differences.ts'

/** What verifying needs. */
export interface VerifyContext {
  db: Db
  copyPool: Pool
  stagePool: Pool
  storage: Storage
}

/** What came of holding a log against the database. */
export interface Verification {
  table: TableRow
  /** The versions whose files were compared; none where `to` is below `from`. */
  from: number
  to: number
  checkpoint: BaseSource | undefined
  differences: Differences
}

/**
 * Reads the log of a table and holds it against the database, action by action: the commits that are published and not
 * cleaned up, and the newest checkpoint. Nothing is changed.
 */
export async function verifyLog(context: VerifyContext, name: string): Promise<Verification> {
  const table = await getTable(context.db, name)
  const { id: tableId, publishedVersion: to, commitsFrom } = table
  const folder = await context.storage.open(deltaLogOf(table.location))
  const files = await listLog(folder)
  const checkpoint = newestCheckpoint(files, to)
  const commits = versionsOf(files)
  // What a checkpoint stands in for may have been cleaned up.
  const oldest = commits.find((version) => version >= commitsFrom) ?? to + 1
  const from = checkpoint !== undefined && oldest <= checkpoint.version + 1 ? oldest : commitsFrom
  const differences: Differences = { list: [], count: 0 }
  await compareCommits({ ...context, folder }, { tableId, from, to }, differences)
  if (checkpoint !== undefined && checkpoint.version >= table.historyFrom) {
    await compareCheckpoint({ ...context, folder }, { table, checkpoint }, differences)
  }
  // What is committed meanwhile may be published meanwhile.
  const { version: newest } = await getTable(context.db, tableId)
  for (const { name: file, version } of foreign(files, newest)) {
    const message = 'the version was not committed here'
    noteDifference(differences, { version, file: fileInTable(file), message })
  }
  return { table, from, to, checkpoint, differences }
}

function versionsOf(files: readonly ListedFile[]): number[] {
  return files.flatMap(({ name }) => {
    const named = parseLogFileName(name)
    return named?.kind === 'commit' ? named.version : []
  })
}

function foreign(files: readonly ListedFile[], newest: number) {
  return files.flatMap(({ name }) => {
    const named = parseLogFileName(name)
    const isForeign = named?.kind === 'commit' && named.version > newest
    return isForeign ? { name, version: named.version } : []
  })
}
