import { copyRow } from '../../database/copy-in.ts'
import type { ActionOf, Long } from '../../delta/actions.ts'
import { deletionVectorId } from '../../delta/deletion-vectors.ts'
import { exactBody } from '../../delta/json.ts'
import type { LoggedAction } from '../../delta/log-line.ts'
import { isLong } from '../../delta/longs.ts'
import { loggedKey, pathBytesMax } from '../../delta/paths.ts'
import { recordCount } from '../../delta/statistics.ts'
import { exceedsBytes, isStorableText, quoted } from '../../delta/text.ts'

/** The place of an action: the version that it came with, and the line of that version's file, from 0. */
export interface LogPlace {
  version: number
  position: number
}

/** The columns of the rows. */
export const logColumns =
  'version, position, kind, key, vector_id, size, num_records, app_version, line'

/** The rows of an action; or why it cannot be kept, to be read behind its place. */
export type LogRows = { rows: string; fault?: undefined } | { fault: string }

/** What of an action is looked up, and its JSON. */
interface Kept {
  key: string | null
  vectorId?: string | null
  size?: Long | null
  numRecords?: Long | null
  appVersion?: Long | null
}

/**
 * The rows that stand for an action. One that shares its line has a place of its own, below zero, which no line has;
 * the line is kept beside it.
 */
export function logRows({ action, line, hasMore }: LoggedAction, place: LogPlace): LogRows {
  const kept = keptOf(action)
  if (typeof kept === 'string') return { fault: kept }
  const { version, position } = place
  const own = rowOf({ version, position: hasMore ? -1 - position : position }, action, kept)
  return { rows: hasMore ? own + rowOf(place, { kind: 'line', json: line }, { key: null }) : own }
}

function rowOf(place: LogPlace, { kind, json }: { kind: string; json: string }, kept: Kept) {
  const { key, vectorId = null, size = null, numRecords = null, appVersion = null } = kept
  const { version, position } = place
  return copyRow([version, position, kind, key, vectorId, size, numRecords, appVersion, json])
}

function keptOf(action: LoggedAction['action']): Kept | string {
  switch (action.kind) {
    case 'add':
      return keptOfFile(action)
    case 'remove':
      return keptOfFile(action)
    case 'metaData':
    case 'protocol':
      return { key: '' }
    case 'txn':
      return keptOfTransaction(action)
    case 'domainMetadata':
      return keyed('domain', action.body.domain)
    case 'commitInfo':
      return { key: operationOf(action.body) }
    default:
      return { key: null }
  }
}

function keptOfFile(action: ActionOf<'add'> | ActionOf<'remove'>): Kept | string {
  const key = loggedKey(action.body.path)
  if (key === undefined) {
    return `holds a file of the path ${quoted(action.body.path)}, which is empty, longer than ${pathBytesMax} bytes, or holds what the database cannot keep`
  }
  const vectorId = deletionVectorId(action.body.deletionVector)
  if (vectorId !== null && !isStorableText(vectorId)) {
    return 'holds a deletion vector whose name the database cannot keep'
  }
  if (action.kind === 'remove') return { key, vectorId }
  const body = exactBody(action)
  if (!isLong(body.size)) return 'holds a file whose size is no long'
  const numRecords = recordCount(body)
  return { key, vectorId, size: body.size, numRecords: isLong(numRecords) ? numRecords : null }
}

function keptOfTransaction(action: ActionOf<'txn'>): Kept | string {
  const kept = keyed('appId', action.body.appId)
  const appVersion = exactBody(action).version
  if (typeof kept === 'string') return kept
  return isLong(appVersion) ? { ...kept, appVersion } : 'holds a txn whose version is no long'
}

/** Texts by which actions are looked up, as long as PostgreSQL can index. */
const keyBytesMax = 2000

function keyed(name: string, key: string): Kept | string {
  const canBeKept = isStorableText(key) && !exceedsBytes(key, keyBytesMax)
  return canBeKept
    ? { key }
    : `holds the ${name} ${quoted(key)}, which is longer than ${keyBytesMax} bytes, or holds what the database cannot keep`
}

function operationOf({ operation }: Record<string, unknown>): string | null {
  return typeof operation === 'string' && operation !== '' && isStorableText(operation)
    ? operation
    : null
}
