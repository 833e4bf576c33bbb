/** Commits that came between what a writer has read and its own. */
import type { Action, AddFile, Metadata, Protocol, RemoveFile } from '../actions.ts'
import { loggedKey } from '../paths.ts'
import type { WinnerIdentity } from './conflict.ts'

/**
 * A commit that came first, sorted for look-ups, so that it can be held against any number of candidates. It
 * may be fetched in part: see `RelevantActions`.
 */
export interface Winner extends WinnerIdentity {
  isBlindAppend: boolean
  protocol?: Protocol
  metadata?: Metadata
  appIds: ReadonlySet<string>
  domains: ReadonlySet<string>
  adds: readonly AddFile[]
  /** By canonical path. */
  removes: ReadonlyMap<string, RemoveFile>
}

/** The canonical form of a path, or the path itself where that has none. */
export function pathKey(path: string): string {
  return loggedKey(path) ?? path
}

/**
 * Makes a winner of a commit and its actions. A predicate can exclude a removed file only where the remove
 * tells its partition values and statistics: complete it from the add where that is known.
 */
export function winnerOf(
  commit: WinnerIdentity & { isBlindAppend: boolean },
  actions: Iterable<Action>,
): Winner {
  const { version, operation, inCommitTimestamp, isBlindAppend } = commit
  const appIds = new Set<string>()
  const domains = new Set<string>()
  const adds: AddFile[] = []
  const removes = new Map<string, RemoveFile>()
  let state: Pick<Winner, 'protocol' | 'metadata'> = {}
  for (const { kind, body } of actions) {
    if (kind === 'add') adds.push(body)
    else if (kind === 'remove') removes.set(pathKey(body.path), body)
    else if (kind === 'txn') appIds.add(body.appId)
    else if (kind === 'domainMetadata') domains.add(body.domain)
    else if (kind === 'protocol') state = { ...state, protocol: body }
    else if (kind === 'metaData') state = { ...state, metadata: body }
  }
  const identity = { version, operation, inCommitTimestamp }
  return { ...identity, isBlindAppend, ...state, appIds, domains, adds, removes }
}

/** A remove with what its add tells and it does not repeat. */
export function completeRemove(
  remove: RemoveFile,
  add: Pick<AddFile, 'partitionValues' | 'stats'>,
): RemoveFile {
  return {
    ...remove,
    partitionValues: remove.partitionValues ?? add.partitionValues,
    stats: remove.stats ?? add.stats ?? null,
  }
}
