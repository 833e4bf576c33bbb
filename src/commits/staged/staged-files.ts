import type { Long, Violation } from '../../delta/actions.ts'
import type { Head } from '../rows.ts'
import type { Stage } from './stage.ts'

/** The file actions of a commit that is too large to be held in memory; the proposal has its other actions. */
export interface StagedFiles {
  stage: Stage
  /** For each action of the proposal, its place in the body. */
  places: readonly Place[]
  /** Lines of the log file, besides commitInfo. */
  numLines: number
  adds: FileSums
  numRemoves: number
  /** Row ids that its adds need where rows are tracked, those of files that are live already included. */
  numRowIds: Long
  /** Whether a path may be staged twice. */
  mayRepeat: boolean
  /** Whether a file can only be judged under the lock. */
  hasLate: boolean
  /** Whether any of its adds, or of its removes, tells a row id. */
  tellsRowIds: { adds: boolean; removes: boolean }
  /** Whether any of its files has `dataChange`. */
  changesData: boolean
  judged: Judged
}

/** Where an action stands: in the body, from 0, and in the log file, from 1. */
export interface Place {
  index: number
  position: number
}

/** What was found illegal when the actions came in. */
export interface Judged {
  /** What they were held against; undefined when the commit changed it after some had been judged. */
  against: Pick<Head, 'protocolJson' | 'metadataJson'> | undefined
  found: Violations
}

/** A stage as it is once the table is locked. */
export interface StageSurvey {
  /** Live files that the commit removes, and those that it adds anew without a remove. */
  removed: FileSums
  replaced: FileSums
  violations: Violations
  rowIds: StagedRowIds
  /** Of the files that winners remove, those that the commit adds and removes, by canonical path. */
  contested: { added: ReadonlySet<string>; removed: ReadonlySet<string> }
}

/** The row ids of staged files. */
export interface StagedRowIds {
  /** Those that the files are to be given; undefined where the table does not track rows. */
  numAssigned: Long | undefined
  /** Of the live files that lack row ids, those that the commit removes or adds anew. Counted where it matters. */
  numFilesWithout: number
}

/** What some files come to. */
export interface FileSums {
  numFiles: number
  sizeInBytes: Long
  /** Rows of the files that tell theirs. */
  numRecords: Long
  numFilesWithoutRecords: number
}

/** The first violations of a commit, and how many there are. */
export interface Violations {
  list: Violation[]
  count: number
}
