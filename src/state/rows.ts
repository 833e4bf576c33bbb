/** A value as it is kept: JSON token for token, or bytes of some type. */
export type EntryValue =
  | { json: string; contentType: null; bytes: null }
  | { json: null; contentType: string; bytes: Buffer }
  | { json: null; contentType: null; bytes: null }

/** The newest write of a key. Times are epoch milliseconds by the database's clock. */
export interface EntryRow {
  namespaceId: number
  key: string
  version: number
  revision: number
  isDeleted: boolean
  /** Of a deleted entry nothing; nor where only its version was asked for. */
  value: EntryValue
  /** As JSON. */
  metadata: string | null
  createdAt: number
  updatedAt: number
  expiresAt: number | null
}

/** What a write did to its key. */
export type WriteKind = 'put' | 'delete' | 'expire'

/** A row of the history. */
export interface WriteRow extends Omit<EntryRow, 'isDeleted'> {
  kind: WriteKind
  /** Whether it is a put of a key that had no entry. */
  isNew: boolean
  /** Place among the writes of its revision, from 0. */
  position: number
}

/** A namespace as it was locked. */
export interface NamespaceHead {
  id: number
  namespace: string
  /** Of the last write. */
  revision: number
  numEntries: number
  versionFloor: number
  defaultTtlMs: number | null
  requiresPrecondition: boolean
  durability: Durability
}

/** Whether a write is answered once it is flushed to disk, or as soon as PostgreSQL has it. */
export type Durability = 'sync' | 'async'

/** All that a batch writes to the state. */
export interface StateWrites {
  namespaces: NamespaceHead[]
  /** In the order of their revisions. */
  writes: WriteRow[]
}

export const noValue: EntryValue = { json: null, contentType: null, bytes: null }
