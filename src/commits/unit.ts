import type { Action, ActionOf } from '../delta/actions.ts'
import type { CommitInfoMembers } from '../delta/commit-info.ts'
import type { IsolationLevel } from '../delta/conflicts/isolation.ts'
import type { Answer, IdempotentRequest } from '../idempotency/rules.ts'
import type { Fence } from '../locks/fences.ts'
import type { Problem } from '../problems.ts'
import type { StateProposal, StateResult } from '../state/operations.ts'
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
  /** Whether it has its place among other reads and writes, so that it must be judged at its level whatever it does. */
  hasFixedPlace?: boolean | undefined
  /** Makes the commit apply once: it is a duplicate when the table has this version of the app, or a later one. */
  appTransaction?: { appId: string; version: number | bigint } | undefined
  operation: string
  /** Without which the whole unit is refused. */
  fences?: readonly Fence[] | undefined
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
  /** Whether nothing is to be committed to the table, which was only read. */
  onlyReads?: boolean | undefined
  /** Where the caller has named it, if not in the order of the parts. */
  place?: number | undefined
}

/** The first actions of a new table. */
export interface TableDefinition {
  protocol: ActionOf<'protocol'> & Action
  metadata: ActionOf<'metaData'> & Action
  /** What commitInfo tells of it. */
  info: CommitInfoMembers
}

/** A table to be made by a unit, with version 0 that the proposal fills. */
export interface TableCreation {
  kind: 'create'
  place: number
  /** Its name. */
  table: string
  id: string
  /** Resolved. */
  location: string
  /** Whether a Delta log lies there. */
  hasLog: boolean
  /** Throws a problem when it cannot be made like this. `now` is in epoch milliseconds. */
  define: (now: number) => TableDefinition
  proposal: Proposal
}

/** A change to which tables there are, which takes effect with a unit. */
export type CatalogChange =
  | TableCreation
  | { kind: 'drop' | 'undrop'; place: number; table: string }

/** What became of a table that is dropped or brought back. */
export interface ChangedTable {
  status: 'dropped' | 'undropped'
  tableId: string
  version: number
  inCommitTimestamp: number
}

/** What a caller says of a transaction over several tables. */
export interface TransactionTerms {
  id: string
  /** Of what is read through it. */
  isolationLevel: 'ReadCommitted' | 'RepeatableRead' | 'Serializable'
  /** From 0 to 9. */
  priority: number
  label: string | undefined
  /** Of one that was begun by an earlier request: when, and the attempt to commit it that must still have it. */
  begun?: { createdAt: string; claim: string } | undefined
}

/** A transaction that was committed whole. */
export interface CommittedTransaction extends TransactionTerms {
  /** Epoch milliseconds by the database's clock. */
  committedAt: number
  /** What became of its tables, in the order in which they were named. */
  tables: readonly (Commit | ChangedTable)[]
  /** What it has done to the state. */
  state: readonly StateResult[]
}

/** Commits that take effect together or not at all, and how their caller is answered. */
export interface Unit {
  parts: readonly Part[]
  /** In the order in which they are named; only of a transaction. Each table stands in one part or change. */
  changes?: readonly CatalogChange[] | undefined
  /** What is done to the state, each proposal to a namespace of its own. */
  state?: readonly StateProposal[] | undefined
  /** Beside those of its proposals. */
  fences?: readonly Fence[] | undefined
  /** Kept with the commits where the unit is a transaction; then refusals name the table. */
  transaction?: TransactionTerms | undefined
  idempotent?: IdempotentRequest | undefined
  /** Turns the verdict into the answer, which is kept with the writes when the request is idempotent. */
  answer: (verdict: Verdict) => Answer
}

/** What became of a part. */
export interface Commit {
  /** A duplicate is the commit of an earlier proposal with the same app transaction; `created` is version 0. */
  status: 'committed' | 'duplicate' | 'created'
  row: CommitRow
  readVersion?: number | undefined
  /** The versions that came between what was read and the commit. */
  rebasedOver: readonly number[]
}

/** What became of a unit: a commit for each part, or a refusal of the whole. */
export type Verdict =
  | {
      kind: 'committed'
      commits: Commit[]
      /** All tables in the order in which they were named. */
      tables: (Commit | ChangedTable)[]
      /** What became of the state, in the order of its proposals. */
      state: StateResult[]
      committedAt: number
    }
  | { kind: 'refused'; problem: Problem }
