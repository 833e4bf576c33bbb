/** What clients asked and were told while things went wrong. All times are of one clock, in milliseconds. */

/** A log line as it is sent. */
// biome-ignore lint/suspicious/noExplicitAny: actions of every kind
export type SentAction = Record<string, any>

/** The body of a proposal. Its predicates are equalities of the partition column with a literal. */
export interface SentProposal {
  expectedVersion?: number
  readVersion?: number
  isolationLevel?: 'Serializable' | 'WriteSerializable' | 'SnapshotIsolation'
  operation: string
  reads?: {
    wholeTable?: boolean
    predicates?: { op: string; children: { op: string; value?: string }[] }[]
    files?: string[]
    appIds?: string[]
    domains?: string[]
  }
  idempotency?: { appId: string; version: number }
  actions: SentAction[]
}

/** A request and its answer; without a status it was never answered. */
export interface Attempt {
  begin: number
  end: number
  status?: number
  body?: string
}

/** A proposal and all attempts to have it committed. Its files are named by no other. */
export interface RecordedCommit {
  table: string
  /** The Idempotency-Key of every attempt. */
  key?: string
  proposal: SentProposal
  attempts: Attempt[]
}

/** A read that was answered: of the newest snapshot or files, of the newest of the history, or of one version. */
export interface RecordedRead {
  table: string
  kind: 'snapshot' | 'files' | 'history' | 'commit'
  /** The version that was asked for, if not the newest. */
  version?: number
  begin: number
  end: number
  body: string
}

export interface RecordedRun {
  commits: RecordedCommit[]
  reads: RecordedRead[]
}

export function pathsOf(kind: 'add' | 'remove', actions: readonly SentAction[]): string[] {
  return actions.flatMap((action) => action[kind]?.path ?? [])
}
