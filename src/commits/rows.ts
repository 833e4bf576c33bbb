import type { Metadata, Protocol } from '../delta/actions.ts'
import type { KeptAnswer } from '../idempotency/rules.ts'
import type { Attempt } from '../runs/rules.ts'
import type { StateWrites } from '../state/rows.ts'
import type { CommittedTransaction } from './unit.ts'

/** The newest version of a table, as it was locked. */
export interface Head extends Totals {
  id: string
  name: string
  version: number
  inCommitTimestamp: number
  protocol: Protocol
  protocolJson: string
  metadata: Metadata
  metadataJson: string
  /** The highest row id ever given to a row; null where none was. */
  rowIdHighWaterMark: number | bigint | null
  /** The oldest version with a snapshot. */
  historyFrom: number
  /** The oldest version whose commit is known. */
  commitsFrom: number
  droppedAt: string | null
}

/** What a version's live files come to. */
export interface Totals {
  numFiles: number
  sizeInBytes: number | bigint
  /** Rows of the files that tell theirs, less those that deletion vectors remove. */
  numRecords: number | bigint
  numFilesWithoutRecords: number
}

/** A file that is live on the head. `path` is canonical. */
export interface LiveFile {
  tableId: string
  path: string
  addedVersion: number
  addedPosition: number
  deletionVectorId: string | null
  size: number | bigint
  numRecords: number | bigint | null
  /** The log line of its add. */
  add: string | null
}

/** A row of `commits`. */
export interface CommitRow extends Totals {
  tableId: string
  version: number
  inCommitTimestamp: number
  operation: string
  /** The transaction over several tables that it was part of. */
  transactionId: string | null
  numAddedFiles: number
  numRemovedFiles: number
  numAddedBytes: number | bigint
  numRemovedBytes: number | bigint
  /** Null where another writer gave none. */
  commitInfo: string | null
}

/** How and when the life of a file ends. */
export interface FileEnd {
  removedVersion: number | null
  removedPosition: number | null
  remove: string | null
}

/** A row of `files`. */
export interface FileRow extends LiveFile, FileEnd {}

/** The end of the life of a file that was live before the batch. */
export interface FileUpdate extends FileEnd {
  tableId: string
  addedVersion: number
  addedPosition: number
}

/** A row of `actions`. */
export interface ActionRow {
  tableId: string
  version: number
  position: number
  kind: string
  key: string | null
  supersededVersion: number | null
  /** Of a txn: the version that the application gave it. */
  appVersion: number | bigint | null
  action: string
}

/** The newest app transaction of an application that has written to a table. */
export interface AppTransactionRow {
  tableId: string
  appId: string
  appVersion: number | bigint
  /** The table's version that brought it. */
  committedIn: number
  /** A version of the application that was asked about, and the commit that first carried it or a later one. */
  asked: number | bigint
  carriedIn: number
}

/** The end of the life of an action that was in force before the batch. */
export interface ActionUpdate {
  tableId: string
  kind: string
  key: string
  supersededVersion: number
}

/** A stage whose files become those of a version. */
export interface StageWrite {
  stage: string
  tableId: string
  version: number
  hasRemoves: boolean
  /** Whether some of them are of no live file. */
  hasTombstones: boolean
  replacesFiles: boolean
  /** The highest row id before this version; undefined where the table does not track rows. */
  highestRowId: number | bigint | undefined
}

/** A table that a batch makes. */
export interface TableInsert {
  head: Head
  location: string
}

/** A table that a batch drops or brings back. */
export interface DropUpdate {
  id: string
  isDropped: boolean
}

/** All that a batch writes. */
export interface Writes {
  tables: TableInsert[]
  drops: DropUpdate[]
  heads: Head[]
  commits: CommitRow[]
  files: FileRow[]
  fileUpdates: FileUpdate[]
  stages: StageWrite[]
  actions: ActionRow[]
  actionUpdates: ActionUpdate[]
  transactions: CommittedTransaction[]
  attempts: Attempt[]
  state: StateWrites
  answers: KeptAnswer[]
}
