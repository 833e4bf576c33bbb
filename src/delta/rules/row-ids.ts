/** The rules of row tracking for files and their table (PROTOCOL.md, "Writer Requirements for Row Tracking"). */
import type { Action, AddFile, Exact, Long, Metadata, Violation } from '../actions.ts'
import type { Configuration } from '../column-mapping.ts'
import type { StructType } from '../data-types.ts'
import { exactBody } from '../json.ts'
import { addLongs, isLong } from '../longs.ts'
import { givenRowIds, hasRowIds, noRowId, type RowIds, rowIdsOfLine } from '../row-ids.ts'
import { hiddenColumnFaults, reliesOnRowIds, rowTrackingFaults } from '../row-tracking.ts'
import { physicalRecordCount, recordCountOfLine } from '../statistics.ts'
import type { LiveFile, TableState } from '../table-state.ts'
import { quoted } from '../text.ts'
import type { Report } from '../violations.ts'
import type { Body } from './bodies.ts'
import type { Commit } from './commit.ts'

const names = ['baseRowId', 'defaultRowCommitVersion'] as const
const statsNeeded =
  'stats must have numRecords, for the table tracks rows and the service counts their ids; add it'

function isEmpty(ids: Partial<RowIds>): boolean {
  return names.every((name) => ids[name] === undefined)
}

/** What is no long at all is told of elsewhere. */
function isUnreadable(ids: Partial<RowIds>): boolean {
  return names.some((name) => Number.isNaN(ids[name]))
}

/** What a file has been told to have stays so for as long as it is in the table. */
function checkKept(given: Partial<RowIds>, has: Partial<RowIds>, report: Report): void {
  for (const name of names) {
    if (given[name] === undefined || has[name] === undefined || given[name] === has[name]) continue
    const message = `${name} is ${given[name]}, but the file has ${has[name]} in the table; leave it out or repeat that`
    report('row-ids-contradict', message)
  }
}

/** What is known of a file that is added. */
export interface AddSite {
  live: LiveFile | undefined
  numRecords: Long | undefined
}

interface Told {
  commit: Commit
  report: Report
}

/** Judges the row ids of a file that is added. Those that are left out the service assigns. */
export function checkAddRowIds(body: Body<'add'>, site: AddSite, tell: Told): void {
  const given = givenRowIds(body)
  if (isUnreadable(given)) return
  if (!tell.commit.tracksRows && isEmpty(given)) return
  const has = rowIdsOfLine(site.live?.add)
  checkKept(given, has, tell.report)
  if (tell.commit.tracksRows) checkTracked({ given, has }, site, tell)
  else if (given.baseRowId !== undefined && has.baseRowId === undefined) {
    tell.report('row-ids-not-tracked', 'the table does not track rows; leave out baseRowId')
  }
  if (has.defaultRowCommitVersion === undefined) checkVersion(given, tell)
}

interface Ids {
  given: Partial<RowIds>
  has: Partial<RowIds>
}

function checkTracked({ given, has }: Ids, site: AddSite, tell: Told): void {
  if (has.baseRowId !== undefined) checkLength(has.baseRowId, site, tell)
  else if (site.live !== undefined && given.baseRowId !== undefined) {
    const message =
      'baseRowId is given, but the file is in the table without one; leave it out, and the service assigns it'
    tell.report('row-ids-contradict', message)
  } else if (site.numRecords === undefined) tell.report('row-ids-without-records', statsNeeded)
  else if (given.baseRowId !== undefined) checkRange(given.baseRowId, site.numRecords, tell)
}

/** A file has as many row ids as it had records when it got them, so their number stays. */
function checkLength(baseRowId: Long, { live, numRecords }: AddSite, tell: Told): void {
  const before = recordCountOfLine(live?.add)
  if (before === undefined) {
    if (numRecords !== undefined) checkRange(baseRowId, numRecords, tell)
  } else if (numRecords !== before) {
    const message = `stats.numRecords is ${numRecords ?? 'missing'}, but the file has ${before} records in the table, and as many row ids; say ${before}`
    tell.report(
      numRecords === undefined ? 'row-ids-without-records' : 'row-ids-contradict',
      message,
    )
  }
}

function lastOf(baseRowId: Long, numRecords: Long): Long {
  return addLongs(addLongs(baseRowId, numRecords), -1)
}

/** Ids that the service did not just now assign must be among those that it has. */
function checkRange(baseRowId: Long, numRecords: Long, { commit, report }: Told): void {
  const highest = commit.state?.rowIdHighWaterMark ?? noRowId
  if (lastOf(baseRowId, numRecords) <= highest) return
  const message = `the rows from baseRowId ${baseRowId} on lie beyond ${highest}, the highest row id of the table; leave it out, and the service assigns it`
  report('row-ids-contradict', message)
}

/**
 * A version that the table has, or the one that the commit makes where the rows are new. Spark once gave versions
 * to tables with type widening too, so they may stand where rows are not tracked.
 */
function checkVersion(
  { baseRowId, defaultRowCommitVersion: version }: Partial<RowIds>,
  { commit, report }: Told,
): void {
  if (version === undefined) return
  const next = (commit.state?.version ?? -1) + 1
  const isNew = commit.tracksRows && baseRowId === undefined
  if (isNew ? version === next : version <= next) return
  const message = `defaultRowCommitVersion is ${version}, but the commit makes version ${next}; leave it out, and the service sets it`
  report('row-ids-contradict', message)
}

/** Judges the row ids of a file that is removed. Those that are left out the service fills in. */
export function checkRemoveRowIds(
  body: Body<'remove'>,
  live: LiveFile | undefined,
  report: Report,
): void {
  const given = givenRowIds(body)
  if (!isEmpty(given) && !isUnreadable(given)) checkKept(given, rowIdsOfLine(live?.add), report)
}

/** A file that tells its row ids. */
export interface RangeFile {
  index: number
  path: string
  /** The first of them. */
  from: Long
}

interface Range extends RangeFile {
  /** Behind the last. */
  to: Long
}

function givenRanges(actions: readonly Action[]): Range[] {
  return actions.flatMap((action, index): Range | [] => {
    if (action.kind !== 'add') return []
    const body = exactBody(action)
    const { path, baseRowId: from } = body
    const numRecords = physicalRecordCount(body) ?? 0
    if (!isLong(from) || numRecords === 0) return []
    return { index, path, from, to: addLongs(from, numRecords) }
  })
}

/** What is wrong with a file whose rows begin within those of the file before it. */
export function sharedRange(file: RangeFile, before: RangeFile): Violation {
  const { index, path, from } = file
  const message = `baseRowId ${from} lies within the rows of ${quoted(before.path)}, actions[${before.index}]; rows of two files cannot have the same ids`
  return { code: 'row-ids-contradict', index, path, message }
}

/** Files of one commit that claim the same rows. */
export function sharedRowIds(actions: readonly Action[], commit: Commit): Violation[] {
  if (!commit.tracksRows) return []
  const ranges = givenRanges(actions).sort((a, b) =>
    a.from < b.from ? -1 : Number(a.from > b.from),
  )
  return ranges.flatMap((range, at) => {
    const before = ranges[at - 1]
    return before === undefined || before.to <= range.from ? [] : sharedRange(range, before)
  })
}

/**
 * Whether the verdict on the row ids of a file that is not in the table may be another once the table has had more
 * commits.
 */
export function dependsOnNextCommit(
  body: Exact<AddFile>,
  { version, rowIdHighWaterMark }: Pick<TableState, 'version' | 'rowIdHighWaterMark'>,
): boolean {
  const { baseRowId, defaultRowCommitVersion } = givenRowIds(body)
  if (baseRowId === undefined) return defaultRowCommitVersion !== undefined
  if (defaultRowCommitVersion !== undefined && defaultRowCommitVersion > version + 1) return true
  const numRecords = physicalRecordCount(body) ?? 0
  return isLong(baseRowId) && lastOf(baseRowId, numRecords) > (rowIdHighWaterMark ?? noRowId)
}

/** Files of the table that lack row ids, and are neither removed nor added anew by the commit. */
function filesLeftWithout({ state, adds, removes }: Commit): number {
  if (state === undefined) return 0
  let left = state.filesWithoutRowIds ?? state.numFiles
  for (const key of new Set([...adds.keys(), ...removes.keys()])) {
    const live = state.findLiveFile(key)
    if (live === undefined || hasRowIds(rowIdsOfLine(live.add))) continue
    if (adds.has(key) || removes.get(key)?.vectorId === live.deletionVectorId) left -= 1
  }
  return left
}

/** Judges what a metaData action says of row tracking. */
export function checkRowTracking(
  { metadata, schema }: { metadata: Metadata; schema: StructType },
  { commit, report }: Told,
): void {
  const configuration: Configuration = metadata.configuration ?? {}
  const before = commit.state?.metadata
  const messages = [
    ...rowTrackingFaults(schema, configuration).map(({ message }) => message),
    ...(commit.features.has('rowTracking')
      ? hiddenColumnFaults(before?.configuration ?? {}, configuration)
      : []),
  ]
  for (const message of messages) {
    report('row-tracking-invalid', `metaData configuration: ${message}`)
  }
  if (!reliesOnRowIds(metadata) || reliesOnRowIds(before) || !commit.tracksRows) return
  const left = filesLeftWithout(commit)
  if (left === 0) return
  const message = `${left} files have no row ids yet; add each of them anew with dataChange false, here or before, and then set delta.enableRowTracking`
  report('row-tracking-incomplete', `metaData configuration: ${message}`)
}
