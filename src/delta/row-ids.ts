/** Row ids: the numbers by which rows are known from version to version (PROTOCOL.md, "Row Tracking"). */
import type { ActionOf, AddFile, Exact, Long, RemoveFile } from './actions.ts'
import { actionBody, memberPlaces, parseExact, setMembers } from './json.ts'
import { addLongs } from './longs.ts'

/** The domain that holds the highest row id of a table. */
export const rowTrackingDomain = 'delta.rowTracking'

/** The highest row id of a table in which no row has one. */
export const noRowId = -1

/** What a file says of its rows: the id of the first, and the version that brought them. */
export interface RowIds {
  baseRowId: Long
  defaultRowCommitVersion: Long
}

/** The row ids in the body of an add or remove; those that it does not tell are left out. */
export function givenRowIds(body: Exact<AddFile> | Exact<RemoveFile>): Partial<RowIds> {
  const { baseRowId, defaultRowCommitVersion } = body
  return {
    ...(isTold(baseRowId) && { baseRowId }),
    ...(isTold(defaultRowCommitVersion) && { defaultRowCommitVersion }),
  }
}

/** Whether a writer has given a row id; null stands for none. */
export function isTold(value: Long | null | undefined): value is Long {
  return value !== null && value !== undefined
}

/** The row ids in the log line of an add. */
export function rowIdsOfLine(add: string | null | undefined): Partial<RowIds> {
  return add ? givenRowIds(parseExact(actionBody(add)) as Exact<AddFile>) : {}
}

/** Whether a file has all that row tracking wants of it. */
export function hasRowIds(ids: Partial<RowIds>): ids is RowIds {
  return ids.baseRowId !== undefined && ids.defaultRowCommitVersion !== undefined
}

/** A file that is added. */
export interface TrackedAdd {
  /** Records in the data file, those that its deletion vector removes included. */
  numRecords: Long
  /** What the file has been given before. */
  kept: Partial<RowIds>
}

/**
 * Gives each file the row ids that it lacks, in the order of the files: the first behind the highest of the
 * table, and as many as it has records; and the version of the commit. `highest` is that of the table before,
 * and after.
 */
export function assignRowIds(
  adds: readonly TrackedAdd[],
  table: { highest: Long; version: number },
): { rowIds: RowIds[]; highest: Long } {
  let { highest } = table
  const rowIds = adds.map(({ numRecords, kept }): RowIds => {
    const { baseRowId = addLongs(highest, 1), defaultRowCommitVersion = table.version } = kept
    if (kept.baseRowId === undefined) highest = addLongs(highest, numRecords)
    return { baseRowId, defaultRowCommitVersion }
  })
  return { rowIds, highest }
}

/** An add or remove with the row ids that it does not tell; all else of its text is as it was. */
export function withRowIds<K extends 'add' | 'remove'>(
  action: ActionOf<K>,
  ids: Partial<RowIds>,
): ActionOf<K> {
  const body: AddFile | RemoveFile = action.body
  const lacking = (['baseRowId', 'defaultRowCommitVersion'] as const).flatMap((name) =>
    isTold(body[name]) || ids[name] === undefined ? [] : [[name, ids[name]] as const],
  )
  if (lacking.length === 0) return action
  const texts = new Map(lacking.map(([name, value]) => [name, String(value)]))
  const rounded = Object.fromEntries(lacking.map(([name, value]) => [name, Number(value)]))
  const { kind, json } = action
  return {
    kind,
    body: { ...action.body, ...rounded },
    json: `${json.slice(0, startOfBody(json))}${setMembers(actionBody(json), texts)}}`,
  }
}

function startOfBody(line: string): number {
  return line.indexOf(':') + 1
}

/**
 * Where `withRowIds` puts each row id into a line: at which character, from 1, stands the null whose place it takes.
 * It is 0 where the line tells it, and null where it comes behind the last member.
 */
export type RowIdPlaces = Record<keyof RowIds, number | null>

/** The places of the row ids in the line of an add or remove. */
export function rowIdPlaces({ body, json }: ActionOf<'add'> | ActionOf<'remove'>): RowIdPlaces {
  const { baseRowId, defaultRowCommitVersion } = body
  if (baseRowId === undefined && defaultRowCommitVersion === undefined) {
    return { baseRowId: null, defaultRowCommitVersion: null }
  }
  const start = startOfBody(json)
  const places = memberPlaces(actionBody(json))
  const placeOf = (name: keyof RowIds) => {
    if (isTold(body[name])) return 0
    const place = places.get(name)
    return place === undefined ? null : characters(json.slice(0, start + place)) + 1
  }
  return {
    baseRowId: placeOf('baseRowId'),
    defaultRowCommitVersion: placeOf('defaultRowCommitVersion'),
  }
}

const highSurrogate = /[\ud800-\udbff]/

/** Characters as PostgreSQL counts them; the length of a string counts some twice. */
function characters(text: string): number {
  return highSurrogate.test(text) ? Array.from(text).length : text.length
}

/** The action that tells the highest row id of a table. */
export function highestRowIdAction(highest: Long): ActionOf<'domainMetadata'> {
  const configuration = `{"rowIdHighWaterMark":${highest}}`
  const body = { domain: rowTrackingDomain, configuration, removed: false }
  return { kind: 'domainMetadata', body, json: JSON.stringify({ domainMetadata: body }) }
}
