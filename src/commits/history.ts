import { sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import { Problem } from '../problems.ts'
import type { CommitRow } from './rows.ts'

/** A commit as it is kept, with the time by the database's clock. */
export interface StoredCommit extends Omit<CommitRow, 'tableId'> {
  committedAt: string
}

const selectCommits = (db: Db, tableId: string) =>
  db
    .selectFrom('commits')
    .select([
      'version',
      'in_commit_timestamp as inCommitTimestamp',
      'committed_at as committedAt',
      'operation',
      'transaction_id as transactionId',
      'num_added_files as numAddedFiles',
      'num_removed_files as numRemovedFiles',
      'num_added_bytes as numAddedBytes',
      'num_removed_bytes as numRemovedBytes',
      'num_files as numFiles',
      'size_in_bytes as sizeInBytes',
      'num_records as numRecords',
      'num_files_without_records as numFilesWithoutRecords',
      'commit_info as commitInfo',
    ])
    .where('table_id', '=', tableId)

/** The commits from version `from` up to `to`, both included, newest first. */
export function listCommits(
  db: Db,
  tableId: string,
  { from, to, limit }: { from: number; to: number; limit: number },
): Promise<StoredCommit[]> {
  return selectCommits(db, tableId)
    .where('version', '>=', from)
    .where('version', '<=', to)
    .orderBy('version', 'desc')
    .limit(limit)
    .execute()
}

/**
 * The commits behind version `after`, oldest first: at most `limit`, and only as many as have a commitInfo of
 * `bytesMax` together; but always the first.
 */
export function listCommitsAfter(
  db: Db,
  tableId: string,
  { after, limit, bytesMax }: { after: number; limit: number; bytesMax: number },
): Promise<StoredCommit[]> {
  // Versions have no gap, so that many of them are that many commits.
  const next = selectCommits(db, tableId)
    .select(
      sql<number>`sum(octet_length(commit_info::text)) over (order by version)`.as('bytesSoFar'),
    )
    .where('version', '>', after)
    .where('version', '<=', after + limit)
  return db
    .selectFrom(next.as('next'))
    .selectAll()
    .where((eb) => eb.or([eb('bytesSoFar', '<=', bytesMax), eb('version', '=', after + 1)]))
    .orderBy('version')
    .execute()
}

/** A version of a table: of this number, or the newest that is not younger than a time; else the newest. */
export interface VersionChoice {
  version?: number | undefined
  /** RFC 3339. */
  timestamp?: string | undefined
}

/** What of a table's history is known: its versions from `historyFrom` on, and its commits from `commitsFrom` on. */
export interface KnownHistory {
  version: number
  historyFrom: number
  commitsFrom: number
}

/** The refusal of what lies before the history that is known; `asked` says what that is. */
export function historyNotAvailable(asked: string, historyFrom: number): Problem {
  const detail = `${asked} lies before the history of the table, which begins at version ${historyFrom}.`
  return new Problem('history-not-available', detail, { facts: { historyFrom } })
}

/**
 * The commit that a choice of version means. Throws `version-not-found` when there is none, and
 * `history-not-available` when it lies before the history that is known.
 */
export async function getCommit(
  db: Db,
  table: KnownHistory & { id: string },
  choice: VersionChoice,
): Promise<StoredCommit> {
  const { historyFrom } = table
  if (choice.version !== undefined && choice.version < historyFrom) {
    throw historyNotAvailable(`Version ${choice.version}`, historyFrom)
  }
  const found = await findChosen(db, table, choice)
  if (found !== undefined) return found
  if (choice.timestamp !== undefined && historyFrom > 0) {
    throw historyNotAvailable(`The time ${choice.timestamp}`, historyFrom)
  }
  const asked =
    choice.timestamp === undefined
      ? `The table has no version ${choice.version}`
      : `The table did not exist at ${choice.timestamp}`
  throw new Problem('version-not-found', `${asked}; its newest is ${table.version}.`, {
    facts: { currentVersion: table.version },
  })
}

function findChosen(db: Db, table: { id: string; version: number }, choice: VersionChoice) {
  const { version, timestamp } = choice
  if (version !== undefined && timestamp !== undefined) {
    const message = 'version and timestamp cannot both be given'
    throw new Problem('invalid-request', `In the query: ${message}.`, {
      facts: { errors: [{ pointer: '/query/timestamp', message }] },
    })
  }
  const commits = selectCommits(db, table.id)
  if (timestamp === undefined) {
    return commits.where('version', '=', version ?? table.version).executeTakeFirst()
  }
  // Found by commits_in_commit_timestamp_key, for timestamps rise with the versions.
  return commits
    .where('in_commit_timestamp', '<=', epochMsOf(timestamp, 'query'))
    .where('version', '<=', table.version)
    .orderBy('in_commit_timestamp', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** Throws `invalid-request` for what has the form of an instant but is none. */
export function epochMsOf(timestamp: string, part: 'query' | 'body'): number {
  const time = Date.parse(timestamp)
  if (!Number.isNaN(time)) return time
  const message = 'is not an instant'
  throw new Problem('invalid-request', `In the ${part}: timestamp ${message}.`, {
    facts: { errors: [{ pointer: part === 'query' ? '/query/timestamp' : '/timestamp', message }] },
  })
}
