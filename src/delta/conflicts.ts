/**
 * Whether a commit that was decided on an older version may follow the commits that came first.
 *
 * The rules and their order are those of Spark's conflict checker; where this service must differ, or other
 * writers do, `docs/decisions/0006-conflicts-follow-spark.md` says why.
 */
import type { Metadata, Protocol } from './actions.ts'
import type { Candidate } from './conflicts/candidate.ts'
import type { Collision, Conflict } from './conflicts/conflict.ts'
import { appendCollision, deleteDeleteCollision, deleteReadCollision } from './conflicts/files.ts'
import { metadataCollision } from './conflicts/metadata.ts'
import { protocolCollision } from './conflicts/protocol.ts'
import type { Winner } from './conflicts/winner.ts'
import { partitionColumns } from './table-state.ts'
import { quoted } from './text.ts'

/** What holds of a table at the version that a commit was decided on. */
export interface ReadState {
  protocol: Protocol
  metadata: Metadata
}

function first(mine: ReadonlySet<string>, theirs: ReadonlySet<string>): string | undefined {
  const [few, many] = mine.size < theirs.size ? [mine, theirs] : [theirs, mine]
  for (const name of few) if (many.has(name)) return name
  return undefined
}

function domainCollision(candidate: Candidate, { domains }: Winner): Collision | undefined {
  const domain = first(candidate.domains, domains)
  if (domain === undefined) return undefined
  const mine = candidate.writtenDomains.has(domain) ? 'changes too' : 'has read'
  const did = `changed the domain metadata of ${quoted(domain)}, which this commit ${mine}`
  return { code: 'domain-metadata-conflict', did, facts: { domain } }
}

function appTransactionCollision(candidate: Candidate, { appIds }: Winner): Collision | undefined {
  const appId = first(candidate.appIds, appIds)
  if (appId === undefined) return undefined
  const did = `wrote the app transaction of ${quoted(appId)}, on which this commit depends`
  return { code: 'concurrent-transaction', did, facts: { appId } }
}

/**
 * The first reason, if any, why a commit may not follow its winners. `winners` are all commits after the
 * version that it was decided on up to the head, in order; of each at least what `relevantActions` names.
 * `read` is the table at that version: the same as at the head when no winner has protocol or metadata.
 *
 * Costs no more than the actions of the candidate and the winners together, times its predicates. That the
 * commit is legal on the head is judged elsewhere (`validateCommit`).
 */
export function findConflict(
  candidate: Candidate,
  winners: readonly Winner[],
  read: ReadState,
): Conflict | undefined {
  let state = read
  const columns = partitionColumns(read.metadata, read.protocol)
  for (const winner of winners) {
    // Each winner is compared with the table that it changed.
    const protocol = winner.protocol ?? state.protocol
    const collision =
      protocolCollision(candidate, winner, read.protocol) ??
      metadataCollision(candidate, winner, { before: state.metadata, protocol }) ??
      domainCollision(candidate, winner) ??
      appTransactionCollision(candidate, winner) ??
      appendCollision(candidate, winner, columns) ??
      deleteReadCollision(candidate, winner, columns) ??
      deleteDeleteCollision(candidate, winner, columns)
    if (collision !== undefined) return conflictWith(winner, collision, winners)
    state = { protocol, metadata: winner.metadata ?? state.metadata }
  }
  return undefined
}

function conflictWith(
  { version, operation, inCommitTimestamp }: Winner,
  { code, did, facts }: Collision,
  winners: readonly Winner[],
): Conflict {
  const head = winners.at(-1)?.version ?? version
  const message = `Version ${version} (${operation}) ${did}. Read the table at version ${head} or later, and decide again.`
  return { code, winner: { version, operation, inCommitTimestamp }, message, facts }
}
