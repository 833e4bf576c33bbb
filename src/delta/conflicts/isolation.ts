/** Isolation levels: which of the files that winners add a commit should have seen. */
import type { Action } from '../actions.ts'
import type { Configuration } from '../column-mapping.ts'
import { isServiceDomain } from './domains.ts'

/**
 * The levels differ only in the files that winners add. `Serializable`: all of them count, if they fall into
 * what the commit has read. `WriteSerializable`: those of blind appends do not, unless the commit changes the
 * metadata. `SnapshotIsolation`: none do. What winners remove counts at every level.
 */
export type IsolationLevel = 'Serializable' | 'WriteSerializable' | 'SnapshotIsolation'

const isolationLevelKey = 'delta.isolationLevel'

/** Operations that change data whatever their actions say, by the names that Spark gives them. */
const changesData: ReadonlySet<string> = new Set([
  'WRITE',
  'STREAMING UPDATE',
  'DELETE',
  'TRUNCATE',
  'CONVERT',
  'MERGE',
  'UPDATE',
  'CREATE TABLE AS SELECT',
  'REPLACE TABLE',
  'REPLACE TABLE AS SELECT',
  'CREATE OR REPLACE TABLE',
  'CREATE OR REPLACE TABLE AS SELECT',
  'RESTORE',
  'CLONE',
])

/**
 * The level that a writer and a table ask for: the writer's, else that of the property
 * `delta.isolationLevel`, else WriteSerializable.
 */
export function requestedLevel(
  given: IsolationLevel | undefined,
  configuration: Configuration | undefined,
): IsolationLevel {
  if (given !== undefined) return given
  const ofTable = configuration?.[isolationLevelKey]
  return ofTable === 'Serializable' ? ofTable : 'WriteSerializable'
}

function rearrangesAtMost(action: Action): boolean {
  switch (action.kind) {
    case 'add':
    case 'remove':
    case 'cdc':
      return !action.body.dataChange
    case 'domainMetadata':
      return isServiceDomain(action.body.domain)
    default:
      return action.kind === 'commitInfo'
  }
}

/**
 * The level that a commit to one table is judged at. One that changes nothing but the arrangement of files
 * could as well have come before every winner, so SnapshotIsolation does for it; at WriteSerializable its
 * operation must not be one that changes data either (Spark's rule).
 *
 * That reasoning holds for a commit by itself. As a part of a transaction over several tables it has a fixed
 * place among the others, and must be judged at the requested level.
 */
export function effectiveLevel(
  requested: IsolationLevel,
  { actions, operation }: { actions: readonly Action[]; operation: string },
): IsolationLevel {
  if (!actions.every(rearrangesAtMost)) return requested
  if (requested === 'WriteSerializable' && changesData.has(operation)) return requested
  return 'SnapshotIsolation'
}
