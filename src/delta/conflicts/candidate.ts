/** A commit to be judged, seen as what it depends on. */
import type { Action } from '../actions.ts'
import { isServiceDomain } from './domains.ts'
import type { IsolationLevel } from './isolation.ts'
import { coversNewFiles, type Reads } from './reads.ts'
import { pathKey } from './winner.ts'

/** A commit with what its writer says of its reads. */
export interface CandidateCommit {
  actions: readonly Action[]
  reads: Reads
  /** The level that the commit is judged at; see `effectiveLevel`. */
  isolationLevel: IsolationLevel
  /** Canonical paths of files that it adds and removes besides those of `actions`. */
  files?: { added: ReadonlySet<string>; removed: ReadonlySet<string> } | undefined
}

/** Which of the files that winners add are held against a commit. */
export type CountedAdds = 'none' | 'not-of-blind-appends' | 'all'

/** What a commit depends on, sorted for look-ups. */
export interface Candidate {
  reads: Reads
  writesProtocol: boolean
  writesMetadata: boolean
  /** Read or written; a writer of an app transaction depends on the one before. */
  appIds: ReadonlySet<string>
  writtenDomains: ReadonlySet<string>
  /** Read or written, without those that the service keeps. */
  domains: ReadonlySet<string>
  /** Canonical paths of the files that it removes, with or without adding them anew. */
  removed: ReadonlySet<string>
  /** Canonical paths of the files that it adds without removing them. */
  added: ReadonlySet<string>
  countedAdds: CountedAdds
}

function countAdds(
  { reads, isolationLevel }: CandidateCommit,
  writesMetadata: boolean,
): CountedAdds {
  if (!coversNewFiles(reads) || isolationLevel === 'SnapshotIsolation') return 'none'
  const forgivesBlindAppends = isolationLevel === 'WriteSerializable' && !writesMetadata
  return forgivesBlindAppends ? 'not-of-blind-appends' : 'all'
}

/** Sorts out what a commit depends on, once for all its winners. */
export function toCandidate(commit: CandidateCommit): Candidate {
  const { actions, reads, files } = commit
  const appIds = new Set(reads.appIds)
  const writtenDomains = new Set<string>()
  const removed = new Set(files?.removed)
  const added = new Set(files?.added)
  let writesProtocol = false
  let writesMetadata = false
  for (const { kind, body } of actions) {
    if (kind === 'add') added.add(pathKey(body.path))
    else if (kind === 'remove') removed.add(pathKey(body.path))
    else if (kind === 'txn') appIds.add(body.appId)
    else if (kind === 'domainMetadata') writtenDomains.add(body.domain)
    else if (kind === 'protocol') writesProtocol = true
    else if (kind === 'metaData') writesMetadata = true
  }
  for (const path of removed) added.delete(path)
  const domains = [...reads.domains, ...writtenDomains].filter((name) => !isServiceDomain(name))
  return {
    reads,
    writesProtocol,
    writesMetadata,
    appIds,
    writtenDomains,
    domains: new Set(domains),
    removed,
    added,
    countedAdds: countAdds(commit, writesMetadata),
  }
}

/**
 * What of the winners can matter to a commit. Whoever fetches winners may leave out everything else, but
 * never a `metaData` or `protocol`, which always matter.
 */
export interface RelevantActions {
  /** For a read of the whole table, any one of each winner will do. */
  adds: CountedAdds
  /** The canonical paths whose removal matters, or all; for a read of the whole table any one will do. */
  removes: 'all' | ReadonlySet<string>
  appIds: ReadonlySet<string>
  domains: ReadonlySet<string>
}

/** Tells what of the winners can matter to a commit. */
export function relevantActions(candidate: Candidate): RelevantActions {
  const { reads, removed, added, countedAdds: adds, appIds, domains } = candidate
  const paths = coversNewFiles(reads) ? 'all' : new Set([...reads.files, ...removed, ...added])
  return { adds, removes: paths, appIds, domains }
}
