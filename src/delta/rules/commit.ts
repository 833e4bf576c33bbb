/** A commit seen as a whole, before its actions are judged one by one. */
import type { Action, Metadata, Protocol } from '../actions.ts'
import { isOn } from '../configuration.ts'
import { deletionVectorId } from '../deletion-vectors.ts'
import { supportedFeatures } from '../features.ts'
import { type ValueFormat, valueFormat } from '../partition-values.ts'
import type { PartitionColumn } from '../partitioning.ts'
import { loggedKey, type ParsedPath, parsePath } from '../paths.ts'
import { tracksRows } from '../row-tracking.ts'
import { partitionColumns, type TableState } from '../table-state.ts'

/** Where a commit first names a file, and with which deletion vector. */
export interface Mention {
  index: number
  vectorId: string | null
}

/** A partition column with the way in which its values are written, where not any text will do. */
export interface TypedColumn extends PartitionColumn {
  format: ValueFormat | undefined
}

/** A commit and the table that it makes. */
export interface Commit {
  state: TableState | undefined
  /** Metadata and protocol as they are once the commit is in; undefined only where the first version lacks them. */
  metadata: Metadata | undefined
  protocol: Protocol | undefined
  features: ReadonlySet<string>
  /** Whether every file that it adds must have row ids. */
  tracksRows: boolean
  partitionColumns: readonly TypedColumn[]
  /** The action's path, by its index, for actions that name a file. */
  paths: ReadonlyMap<number, ParsedPath>
  /** First mentions by canonical path. */
  adds: ReadonlyMap<string, Mention>
  removes: ReadonlyMap<string, Mention>
  /** Indexes of the actions that may come once at most, in order. */
  metadataIndexes: readonly number[]
  protocolIndexes: readonly number[]
}

function isActive({ metadata, features }: Commit, feature: string, property: string): boolean {
  return features.has(feature) && isOn(metadata?.configuration, property)
}

/** Whether deletion vectors may be written: the protocol has the feature and the table turns it on. */
export function writesDeletionVectors(commit: Commit): boolean {
  return isActive(commit, 'deletionVectors', 'delta.enableDeletionVectors')
}

/** Whether files of change data may be written. */
export function writesChangeData(commit: Commit): boolean {
  return isActive(commit, 'changeDataFeed', 'delta.enableChangeDataFeed')
}

function mention(mentions: Map<string, Mention>, key: string | undefined, first: Mention): void {
  if (key !== undefined && !mentions.has(key)) mentions.set(key, first)
}

function first<T>(actions: readonly Action[], indexes: readonly number[]): T | undefined {
  return indexes[0] === undefined ? undefined : (actions[indexes[0]]?.body as T)
}

/** The path of an action. What another writer brought into the table goes on under its name, whatever that is. */
function pathIn(state: TableState | undefined, path: string): ParsedPath {
  const parsed = parsePath(path)
  if (parsed.fault === undefined) return parsed
  const key = loggedKey(path)
  return key !== undefined && state?.findLiveFile(key) !== undefined ? { key } : parsed
}

/** Looks through a commit once. */
export function surveyCommit(actions: readonly Action[], state: TableState | undefined): Commit {
  const paths = new Map<number, ParsedPath>()
  const adds = new Map<string, Mention>()
  const removes = new Map<string, Mention>()
  const metadataIndexes: number[] = []
  const protocolIndexes: number[] = []
  for (const [index, action] of actions.entries()) {
    if (action.kind === 'metaData') metadataIndexes.push(index)
    if (action.kind === 'protocol') protocolIndexes.push(index)
    if (action.kind !== 'add' && action.kind !== 'remove' && action.kind !== 'cdc') continue
    const path = pathIn(state, action.body.path)
    paths.set(index, path)
    if (action.kind === 'cdc') continue
    const vectorId = deletionVectorId(action.body.deletionVector)
    mention(action.kind === 'add' ? adds : removes, path.key, { index, vectorId })
  }
  const metadata = first<Metadata>(actions, metadataIndexes) ?? state?.metadata
  const protocol = first<Protocol>(actions, protocolIndexes) ?? state?.protocol
  const columns = metadata && protocol ? partitionColumns(metadata, protocol) : []
  return {
    state,
    metadata,
    protocol,
    features: protocol ? supportedFeatures(protocol) : new Set(),
    tracksRows: tracksRows(protocol, metadata),
    partitionColumns: columns.map((column) => ({ ...column, format: valueFormat(column.type) })),
    paths,
    adds,
    removes,
    metadataIndexes,
    protocolIndexes,
  }
}
