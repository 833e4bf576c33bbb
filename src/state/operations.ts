import type { EntryRow, EntryValue } from './rows.ts'

/** What must hold of an entry for an operation to take effect. */
export type Condition =
  | { kind: 'absent' }
  | { kind: 'exists' }
  | { kind: 'version'; versions: readonly number[] }

export interface PutOperation {
  kind: 'put'
  key: string
  value: EntryValue
  /** As JSON. */
  metadata: string | null
  /** How long it lives; null for ever, undefined as the namespace says. */
  ttlMs?: number | null | undefined
  condition?: Condition | undefined
}

export interface DeleteOperation {
  kind: 'delete'
  key: string
  condition?: Condition | undefined
}

export interface GetOperation {
  kind: 'get'
  key: string
}

/** Removes an entry of this version, if its time is over. */
export interface ExpireOperation {
  kind: 'expire'
  key: string
  version: number
}

export type StateOperation = PutOperation | DeleteOperation | GetOperation | ExpireOperation

/** A comparison that decides what a proposal does. `value` and what `path` leads to are JSON. */
export type Comparison = { key: string; op: 'equal' | 'notEqual' | 'greater' | 'less' } & (
  | { target: 'version'; version: number }
  | { target: 'exists'; exists: boolean }
  | { target: 'value'; json: string }
  | { target: 'value'; bytes: Buffer }
  | { target: 'metadata'; path: readonly string[]; json: string }
)

/** An entry as it was read: the version of the newest write of its key, 0 where there was none, and whether it was there. */
export interface KeyRead {
  key: string
  version: number
  isThere: boolean
}

/** Keys of which all were read that there were at a revision: from `from` on, before `to`. */
export interface RangeRead {
  from: string
  to: string | undefined
  sinceRevision: number
}

/** What a proposal was decided on. None of it may have changed. */
export interface StateReads {
  keys: readonly KeyRead[]
  ranges: readonly RangeRead[]
}

/** What one caller wants done to one namespace, all of it at one revision. A key is written once at most. */
export interface StateProposal {
  namespaceId: number
  namespace: string
  /** Where they hold, `operations` are done, else `otherwise`. */
  compare?: readonly Comparison[]
  operations: readonly StateOperation[]
  otherwise?: readonly StateOperation[]
  /** Whether one operation that is refused refuses them all. */
  isAtomic: boolean
  reads?: StateReads | undefined
}

/** What became of an operation. */
export type OperationResult =
  | { kind: 'put'; entry: EntryRow; isNew: boolean }
  | { kind: 'get'; key: string; entry: EntryRow | undefined }
  /** `version` is that of the deletion; undefined when there was nothing to delete. */
  | { kind: 'delete' | 'expire'; key: string; version: number | undefined }
  | { kind: 'refused'; key: string; refusal: Refusal }

/** Why an operation had no effect. */
export type Refusal =
  | { code: 'version-mismatch'; expected: Condition; actual: number }
  | { code: 'precondition-required' }
  /** What the proposal was decided on has changed. */
  | { code: 'serialization-failure' }

/** What became of a proposal. */
export interface StateResult {
  namespaceId: number
  namespace: string
  /** Of its writes; where it wrote nothing, the newest of the namespace. */
  revision: number
  /** Whether the comparisons held. */
  succeeded: boolean
  results: OperationResult[]
}
