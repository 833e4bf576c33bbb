/** The rules of add, remove and cdc actions. */
import type { ActionOf } from '../actions.ts'
import { isOn } from '../configuration.ts'
import { deletionVectorId } from '../deletion-vectors.ts'
import { supportedFeatures } from '../features.ts'
import { judgeStatistics, type RecordStatistics } from '../statistics.ts'
import type { Report } from '../violations.ts'
import { type Body, checkLong, readBody } from './bodies.ts'
import { type Commit, writesChangeData, writesDeletionVectors } from './commit.ts'
import { checkAddedVector, checkVector } from './deletion-vectors.ts'
import { checkAddIdentity, checkRemoveIdentity } from './file-identity.ts'
import { checkAddForIceberg } from './iceberg-compat.ts'
import { checkPartitionValues } from './partition-values.ts'
import { checkAddRowIds, checkRemoveRowIds } from './row-ids.ts'

/** An action at its place in a commit. */
export interface Placed<K extends FileKind> {
  action: ActionOf<K>
  index: number
}

type FileKind = 'add' | 'remove' | 'cdc'

const size = { name: 'size', title: 'file size', negative: 'size-negative' } as const
const modificationTime = { name: 'modificationTime', negative: 'time-negative' } as const
const deletionTimestamp = { name: 'deletionTimestamp', negative: 'time-negative' } as const
const baseRowId = { name: 'baseRowId', negative: 'row-id-negative' } as const
const rowVersion = { name: 'defaultRowCommitVersion', negative: 'row-id-negative' } as const

/** The canonical path, once its faults are told. */
function checkPath<K extends FileKind>(
  { action, index }: Placed<K>,
  { paths }: Commit,
  report: Report,
): string | undefined {
  const path = paths.get(index)
  if (path?.fault) report(path.fault.code, `${action.kind} path ${path.fault.message}`)
  return path?.key
}

function checkRowIds(body: Body<'add'> | Body<'remove'>, report: Report): void {
  checkLong(body.baseRowId, baseRowId, report)
  checkLong(body.defaultRowCommitVersion, rowVersion, report)
  checkLong(body.deletionVector?.cardinality, { name: 'deletionVector cardinality' }, report)
}

function checkStatistics(
  stats: string | null | undefined,
  report: Report,
): RecordStatistics | undefined {
  if (stats === null || stats === undefined) return undefined
  const { statistics, fault } = judgeStatistics(stats)
  if (fault !== undefined) report('stats-invalid', `stats ${fault}`)
  return statistics
}

/** Judges an add action. */
export function checkAdd(placed: Placed<'add'>, commit: Commit, report: Report): void {
  const { action, index } = placed
  const key = checkPath(placed, commit, report)
  const body = readBody(action, report)
  checkLong(body.size, size, report)
  checkLong(body.modificationTime, modificationTime, report)
  checkRowIds(body, report)
  if (commit.metadata) checkPartitionValues(body.partitionValues, commit.partitionColumns, report)
  const statistics = checkStatistics(body.stats, report)
  const vectorId = deletionVectorId(body.deletionVector)
  if (key !== undefined) checkAddIdentity({ key, index, vectorId }, commit, report)
  const live = key === undefined ? undefined : commit.state?.findLiveFile(key)
  const numRecords = statistics?.numRecords
  checkAddRowIds(body, { live, numRecords }, { commit, report })
  checkAddForIceberg(numRecords, commit, report)
  if (!body.deletionVector) return
  const site = {
    numRecords,
    isNew: live?.deletionVectorId !== vectorId,
    isOn: writesDeletionVectors(commit),
  }
  checkAddedVector(body.deletionVector, site, report)
}

/** Whether the table forbids removing data. What the commit itself changes about that comes after it. */
function isAppendOnly({ state }: Commit): boolean {
  return (
    state !== undefined &&
    isOn(state.metadata.configuration, 'delta.appendOnly') &&
    supportedFeatures(state.protocol).has('appendOnly')
  )
}

/** Judges a remove action. */
export function checkRemove(placed: Placed<'remove'>, commit: Commit, report: Report): void {
  const { action, index } = placed
  const key = checkPath(placed, commit, report)
  const body = readBody(action, report)
  checkLong(body.size, size, report)
  checkLong(body.deletionTimestamp, deletionTimestamp, report)
  checkRowIds(body, report)
  checkStatistics(body.stats, report)
  const vectorId = deletionVectorId(body.deletionVector)
  if (key !== undefined) checkRemoveIdentity({ key, index, vectorId }, commit, report)
  if (body.deletionVector) checkVector(body.deletionVector, report)
  const live = key === undefined ? undefined : commit.state?.findLiveFile(key)
  if (live?.deletionVectorId === vectorId) checkRemoveRowIds(body, live, report)
  const lacking = (['partitionValues', 'size'] as const).filter(
    (name) => (body[name] ?? undefined) === undefined,
  )
  if (body.extendedFileMetadata && lacking.length > 0) {
    const message = `extendedFileMetadata is true, but ${lacking.join(' and ')} is missing; add it or say false`
    report('extended-metadata-missing', message)
  }
  if (body.dataChange && isAppendOnly(commit)) {
    const message =
      'the table is append-only: only removes with dataChange false may stand here; set delta.appendOnly to false in an earlier commit'
    report('append-only', message)
  }
}

/** Judges a cdc action. */
export function checkCdc(placed: Placed<'cdc'>, commit: Commit, report: Report): void {
  checkPath(placed, commit, report)
  const body = readBody(placed.action, report)
  checkLong(body.size, size, report)
  if (commit.metadata) checkPartitionValues(body.partitionValues, commit.partitionColumns, report)
  if (commit.metadata && !writesChangeData(commit)) {
    const message =
      'the table has no change data feed; set delta.enableChangeDataFeed to true, with the table feature changeDataFeed, or leave the cdc action out'
    report('cdc-off', message)
  }
  if (body.dataChange) {
    const message =
      'cdc dataChange must be false; the change itself stands in add and remove actions'
    report('cdc-data-change', message)
  }
}
