/** What a writer has read before it decided on its commit. */
import type { Action } from '../actions.ts'
import type { FileFacts } from '../predicates/file-values.ts'

/**
 * Whether a file can hold rows that a predicate selects, by its partition values and, where they can
 * exclude, its statistics. True when in doubt, as when a partition value is missing.
 */
export type FileTest = (file: FileFacts) => boolean

/**
 * What a writer says that it has read at its readVersion. It is taken at its word: what is not declared was
 * not read, apart from the files that the commit removes and the app transactions that it writes.
 */
export interface Reads {
  wholeTable: boolean
  /** Each stands for all files that it can select: those there were, and those that come. */
  predicates: readonly FileTest[]
  /** Canonical paths (`fileKey`). */
  files: ReadonlySet<string>
  appIds: ReadonlySet<string>
  domains: ReadonlySet<string>
}

export const noReads: Reads = {
  wholeTable: false,
  predicates: [],
  files: new Set(),
  appIds: new Set(),
  domains: new Set(),
}

/** Whether files that come later can fall into what was read. */
export function coversNewFiles({ wholeTable, predicates }: Reads): boolean {
  return wholeTable || predicates.length > 0
}

/**
 * Whether a commit is a blind append: it removes nothing, holds no change data, and no files were read for
 * it. As in Spark it need not add any file either, and app transactions and domains may be read.
 */
export function isBlindAppend(actions: readonly Action[], reads: Reads): boolean {
  const readsFiles = coversNewFiles(reads) || reads.files.size > 0
  return !readsFiles && actions.every(({ kind }) => kind !== 'remove' && kind !== 'cdc')
}
