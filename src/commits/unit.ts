import type { Action } from '../delta/actions.ts'
import type { CommitInfoMembers } from '../delta/commit-info.ts'
import type { Answer, IdempotentRequest } from '../idempotency/rules.ts'
import type { Problem } from '../problems.ts'
import type { CommitRow } from './rows.ts'

/** What one writer wants committed to one table. */
export interface Proposal {
  /** The version that this commit must become; absent when any will do. */
  expectedVersion?: number | undefined
  operation: string
  /** Members of commitInfo that the writer gives. */
  info: CommitInfoMembers
  actions: readonly Action[]
}

/** One table's share in a unit of work. `table` is an id or a name. */
export interface Part {
  table: string
  proposal: Proposal
}

/** Commits that take effect together or not at all, and how their caller is answered. */
export interface Unit {
  parts: readonly Part[]
  idempotent?: IdempotentRequest | undefined
  /** Turns the verdict into the answer, which is kept with the writes when the request is idempotent. */
  answer: (verdict: Verdict) => Answer
}

/** What became of a unit: a commit for each part, or a refusal of the whole. */
export type Verdict =
  | { kind: 'committed'; commits: CommitRow[] }
  | { kind: 'refused'; problem: Problem }
