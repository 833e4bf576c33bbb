/** What a refused commit is told. */

/** The kinds of conflict, in the order in which they are looked for. */
export type ConflictCode =
  | 'protocol-changed'
  | 'metadata-changed'
  | 'domain-metadata-conflict'
  | 'concurrent-transaction'
  | 'concurrent-append'
  | 'concurrent-delete-read'
  | 'concurrent-delete-delete'

/** The commit that came first. */
export interface WinnerIdentity {
  version: number
  operation: string
  /** Epoch milliseconds. */
  inCommitTimestamp: number
}

/** What collided; each kind of conflict gives what it has. */
export interface ConflictFacts {
  /** The file, as the winner's action names it. */
  path?: string
  partitionValues?: Readonly<Record<string, string | null>>
  /** The place, in the reads, of the predicate that can select the file. */
  predicate?: number
  appId?: string
  domain?: string
  /** Members of metaData, beside the properties, that the winner changed. */
  fields?: readonly string[]
  /** Table properties that the winner changed in a way that the commit may not have heeded. */
  properties?: readonly string[]
  /** Table features that the winner dropped, or added. */
  features?: readonly string[]
}

/** Why a commit may not follow a winner. */
export interface Conflict {
  code: ConflictCode
  winner: WinnerIdentity
  /** What the winner did that collides, and what to do, for a person. */
  message: string
  facts: ConflictFacts
}

/** What one check finds: `did` reads on from the name of the winner. */
export interface Collision {
  code: ConflictCode
  did: string
  facts: ConflictFacts
}
