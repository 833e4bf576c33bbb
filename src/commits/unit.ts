import type { Action } from '../delta/actions.ts'
import type { CommitInfoMembers } from '../delta/commit-info.ts'
import type { IsolationLevel } from '../delta/conflicts/isolation.ts'
import type { Answer, IdempotentRequest } from '../idempotency/rules.ts'
import type { Problem } from '../problems.ts'
import type { DeclaredReads } from './reads.ts'
import type { CommitRow } from './rows.ts'
import type { StagedFiles } from './staged/staged-files.ts'

/** What one writer wants committed to one table. */
export interface Proposal {
  /** The version that this commit must become; absent when any will do. */
  expectedVersion?: number | undefined
  /** The version that it was decided on; what came since is judged for conflicts with what was read. */
  readVersion?: number | undefined
  reads?: DeclaredReads | undefined
  isolationLevel?: IsolationLevel | undefined
  /** Makes the commit apply once: it is a duplicate when the table has this version of the app, or a later one. */
  appTransaction?: { appId: string; version: number | bigint } | undefined
  operation: string
  /** Members of commitInfo that the writer gives. */
  info: CommitInfoMembers
  actions: readonly Action[]
  /** The files, where they are too many for memory; then `actions` has none. */
  staged?: StagedFiles | undefined
}

/** One table's share in a unit of work. `table` is an id or a name. */
export interface Part {
  table: string
  proposal: Proposal
}

/** What a caller says of a transaction over several tables. */
export interface TransactionTerms {
  id: string
  /** Of what is read through it. */
  isolationLevel: 'ReadCommitted' | 'RepeatableRead' | 'Serializable'
  /** From 0 to 9. */
  priority: number
  label: string | undefined
}

/** A transaction that was committed whole. */
export interface CommittedTransaction extends TransactionTerms {
  /** Epoch milliseconds by the database's clock. */
  committedAt: number
  /** What became of its tables, in the order in which they were named. */
  commits: readonly Commit[]
}

/** Commits that take effect together or not at all, and how their caller is answered. */
export interface Unit {
  parts: readonly Part[]
  /** Kept with the commits where the unit is a transaction; then refusals name the table. */
  transaction?: TransactionTerms | undefined
  idempotent?: IdempotentRequest | undefined
  /** Turns the verdict into the answer, which is kept with the writes when the request is idempotent. */
  answer: (verdict: Verdict) => Answer
}

/** What became of a part. */
export interface Commit {
  /** A duplicate is the commit of an earlier proposal with the same app transaction. */
  status: 'committed' | 'duplicate'
  row: CommitRow
  readVersion?: number | undefined
  /** The versions that came between what was read and the commit. */
  rebasedOver: readonly number[]
}

/** What became of a unit: a commit for each part, or a refusal of the whole. */
export type Verdict =
  | { kind: 'committed'; commits: Commit[]; committedAt: number }
  | { kind: 'refused'; problem: Problem }
