import type { Action, ActionBodies, ActionOf, Long } from '../delta/actions.ts'
import { deletionVectorId } from '../delta/deletion-vectors.ts'
import { exactBody } from '../delta/json.ts'
import { addLongs } from '../delta/longs.ts'
import { fileKey } from '../delta/paths.ts'
import {
  assignRowIds,
  givenRowIds,
  hasRowIds,
  highestRowIdAction,
  noRowId,
  type RowIds,
  rowIdsOfLine,
  type TrackedAdd,
  withRowIds,
} from '../delta/row-ids.ts'
import { tracksRows } from '../delta/row-tracking.ts'
import { physicalRecordCount } from '../delta/statistics.ts'
import type { TableLedger } from './ledger.ts'
import type { Head, LiveFile } from './rows.ts'

/**
 * The actions of a legal commit as they go into the log: where the table tracks rows, each add with its row ids,
 * each remove with those of its file, and behind them the highest row id if it has moved. It is noted in the head.
 */
export function trackRows(table: TableLedger, actions: readonly Action[]): readonly Action[] {
  const { head } = table
  if (!tracksRowsAfter(actions, head)) return actions
  const before = head.rowIdHighWaterMark ?? noRowId
  const adds = actions.filter((action) => action.kind === 'add')
  const { rowIds, highest } = assignRowIds(
    adds.map((add) => trackedAdd(table, add)),
    { highest: before, version: head.version + 1 },
  )
  const assigned = new Map<Action, RowIds | undefined>(adds.map((add, at) => [add, rowIds[at]]))
  const tracked = actions.map((action) => {
    if (action.kind === 'add') return withRowIds(action, assigned.get(action) ?? {})
    return action.kind === 'remove' ? withRowIds(action, idsOfRemoved(table, action)) : action
  })
  return [...tracked, ...raiseHighest(head, highest)]
}

/** What is told of the row ids of staged files, which are put into their lines where they lie. */
export function trackStagedRows({ head, survey }: TableLedger): Action[] {
  return raiseHighest(
    head,
    addLongs(head.rowIdHighWaterMark ?? noRowId, survey?.rowIds.numAssigned ?? 0),
  )
}

/** Notes the highest row id in the head, and tells it where it has moved. */
function raiseHighest(head: Head, highest: Long): Action[] {
  if (highest === (head.rowIdHighWaterMark ?? noRowId)) return []
  head.rowIdHighWaterMark = highest
  return [highestRowIdAction(highest)]
}

/** Whether a table tracks its rows once the actions are in it. */
export function tracksRowsAfter(
  actions: readonly Action[],
  head: Pick<Head, 'protocol' | 'metadata'>,
): boolean {
  return tracksRows(
    lastOf('protocol', actions) ?? head.protocol,
    lastOf('metaData', actions) ?? head.metadata,
  )
}

function lastOf<K extends 'protocol' | 'metaData'>(
  kind: K,
  actions: readonly Action[],
): ActionBodies[K] | undefined {
  return actions.findLast((action): action is ActionOf<K> & Action => action.kind === kind)?.body
}

/** A file that is in the table keeps what it has; of any other the writer may say what it had before. */
function trackedAdd({ files }: TableLedger, action: ActionOf<'add'>): TrackedAdd {
  const body = exactBody(action)
  const live = files.get(fileKey(body.path))?.file
  return {
    numRecords: physicalRecordCount(body) ?? 0,
    kept: { ...givenRowIds(body), ...rowIdsOfLine(live?.add) },
  }
}

function idsOfRemoved({ files }: TableLedger, { body }: ActionOf<'remove'>) {
  const live = files.get(fileKey(body.path))?.file
  return live?.deletionVectorId === deletionVectorId(body.deletionVector)
    ? rowIdsOfLine(live.add)
    : {}
}

/** Keeps the number of live files that lack row ids, where a commit of the batch depends on it. */
export function countWithoutRowIds(
  table: TableLedger,
  { add }: Pick<LiveFile, 'add'>,
  change: 1 | -1,
): void {
  if (table.filesWithoutRowIds === undefined || hasRowIds(rowIdsOfLine(add))) return
  table.filesWithoutRowIds += change
}
