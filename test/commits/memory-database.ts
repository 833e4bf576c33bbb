import type { BatchState } from '../../src/commits/ledger.ts'
import { parseAction } from '../../src/commits/proposal.ts'
import type { ActionRow, CommitRow, FileRow, Head, Writes } from '../../src/commits/rows.ts'
import type { Unit } from '../../src/commits/unit.ts'
import type { Action } from '../../src/delta/actions.ts'
import { completeRemove } from '../../src/delta/conflicts/winner.ts'
import { fileKeysOf } from '../../src/delta/paths.ts'

/** The rows of a database as plain arrays, with the constraints that the real one enforces. */
export interface MemoryDatabase {
  heads: Head[]
  commits: CommitRow[]
  files: FileRow[]
  actions: ActionRow[]
}

/** A table as it is at version 0. */
export function newHead(id: string): Head {
  const protocol = {
    minReaderVersion: 1,
    minWriterVersion: 7,
    writerFeatures: ['inCommitTimestamp'],
  }
  const metadata = {
    id,
    format: { provider: 'parquet', options: {} },
    schemaString: '{"type":"struct","fields":[]}',
    partitionColumns: [],
    configuration: { 'delta.enableInCommitTimestamps': 'true' },
  }
  return {
    id,
    name: `name of ${id}`,
    version: 0,
    inCommitTimestamp: 1000,
    protocol,
    protocolJson: JSON.stringify({ protocol }),
    metadata,
    metadataJson: JSON.stringify({ metaData: metadata }),
    rowIdHighWaterMark: null,
    numFiles: 0,
    sizeInBytes: 0,
    numRecords: 0,
    numFilesWithoutRecords: 0,
    historyFrom: 0,
    commitsFrom: 0,
    droppedAt: null,
  }
}

/** What a batch of these units finds under its locks. */
export function readState(
  { heads, commits, files, actions }: MemoryDatabase,
  units: readonly Unit[],
  now: number,
): BatchState {
  const parts = units.flatMap((unit) => unit.parts)
  const paths = new Set(parts.flatMap(({ proposal }) => fileKeysOf(proposal.actions)))
  const expected = new Set(parts.map(({ proposal }) => proposal.expectedVersion))
  return {
    now,
    heads: structuredClone(heads),
    liveFiles: files.filter((file) => file.removedVersion === null && paths.has(file.path)),
    takers: commits.filter((commit) => expected.has(commit.version)),
    winners: commits
      .toSorted((a, b) => a.version - b.version)
      .map((row) => ({
        row,
        actions: () => actionsOf({ files, actions }, row),
        changesTable: false,
      })),
    readStates: [],
    appTransactions: [],
    filesWithoutRowIds: [],
  }
}

/** What a winner did, as the database tells it: a remove is told with what its add says. */
function actionsOf(
  { files, actions }: Pick<MemoryDatabase, 'files' | 'actions'>,
  { tableId, version }: CommitRow,
): Action[] {
  const own = files.filter((file) => file.tableId === tableId)
  const added = own.filter((file) => file.addedVersion === version)
  const removed = own.filter((file) => file.removedVersion === version && file.remove !== null)
  const others = actions.filter((row) => row.tableId === tableId && row.version === version)
  const lines = [...added.map((file) => file.add), ...others.map((row) => row.action)]
  return [
    ...lines.flatMap((line) => (line === null ? [] : parseAction(line))),
    ...removed.map(({ remove, add }) => {
      const action = parseAction(remove ?? '')
      if (action.kind !== 'remove' || add === null) return action
      return { ...action, body: completeRemove(action.body, JSON.parse(add).add) }
    }),
  ]
}

/** Does what the statements of a batch do, in their order; throws where a constraint would refuse. */
export function applyWrites(database: MemoryDatabase, writes: Writes): void {
  for (const row of writes.commits) insertUnique(database.commits, row, ['tableId', 'version'])
  for (const end of writes.fileUpdates) {
    const row = database.files.find(
      (file) =>
        file.tableId === end.tableId &&
        file.addedVersion === end.addedVersion &&
        file.addedPosition === end.addedPosition,
    )
    if (row === undefined || row.removedVersion !== null) throw new Error('no such life to end')
    Object.assign(row, end)
  }
  for (const row of writes.files) {
    insertUnique(database.files, { ...row }, ['tableId', 'addedVersion', 'addedPosition'])
  }
  const live = database.files.filter((file) => file.removedVersion === null)
  const places = new Set(live.map((file) => `${file.tableId}/${file.path}`))
  if (places.size < live.length) throw new Error('files_live_path_key')
  for (const end of writes.actionUpdates) {
    const inForce = database.actions.find(
      (row) =>
        row.tableId === end.tableId &&
        row.kind === end.kind &&
        row.key === end.key &&
        row.supersededVersion === null,
    )
    if (inForce !== undefined) inForce.supersededVersion = end.supersededVersion
  }
  for (const row of writes.actions) {
    insertUnique(database.actions, { ...row }, ['tableId', 'version', 'position'])
  }
  const inForce = database.actions.filter(
    (row) => row.key !== null && row.supersededVersion === null,
  )
  const keys = new Set(inForce.map((row) => `${row.tableId}/${row.kind}/${row.key}`))
  if (keys.size < inForce.length) throw new Error('actions_current_key')
  database.heads = database.heads.map(
    (head) => writes.heads.find(({ id }) => id === head.id) ?? head,
  )
}

function insertUnique<Row>(rows: Row[], row: Row, key: readonly (keyof Row)[]): void {
  if (rows.some((other) => key.every((column) => other[column] === row[column]))) {
    throw new Error(`duplicate key: ${key.map((column) => row[column]).join(', ')}`)
  }
  rows.push(row)
}
