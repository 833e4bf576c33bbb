import type { Readable } from 'node:stream'

/** Where tables lie: the folders of this machine, and others like them, below the roots that the operator allows. */
export interface Storage {
  /**
   * Reads a location that a caller named and answers it in the one form that is kept: of a folder here, its path with
   * links resolved. Nothing is made. Throws `location-not-allowed` when it lies below none of the roots.
   */
  resolve: (location: string) => Promise<string>
  /**
   * Opens the folder at a location, there or not; it is made with its first file. Throws like `resolve`, and looks
   * anew each time: a link may lead elsewhere by now.
   */
  open: (location: string) => Promise<Folder>
}

/** A file as a list of its folder tells of it. */
export interface StoredFile {
  /** Relative to the folder. */
  name: string
  /** In bytes. */
  size: number
  /** Milliseconds since 1970. */
  modifiedAt: number
}

/**
 * The files of one folder. Names are relative to it: of files in it, or one level below, such as `_sidecars/a.parquet`.
 * What is written appears whole or not at all.
 */
export interface Folder {
  /** Resolved. */
  readonly location: string
  /**
   * Lists files by name, in order, those that are not there yet for readers aside; none when there is no folder. A
   * prefix that ends in `/` asks for the files below.
   */
  list: (options?: ListOptions) => AsyncIterable<StoredFile>
  /** Reads a file, or its bytes in `range`. Throws `FileMissingError`. The stream fails when it would end early. */
  read: (name: string, range?: ByteRange) => Promise<Readable>
  /** The size of a file in bytes; undefined when there is none of that name. */
  size: (name: string) => Promise<number | undefined>
  /** Begins to write the file of that name, out of every reader's sight. */
  begin: (name: string, options?: BeginOptions) => Promise<PendingFile>
  /** Removes files; those that are not there are passed over. */
  remove: (names: readonly string[]) => Promise<void>
  /** Makes what was put, replaced and removed by this object so far survive a loss of power. */
  sync: () => Promise<void>
  /**
   * Removes what was left by writers that were stopped halfway, of those files whose names `wanted` accepts. Only for
   * who knows that no one else is writing those.
   */
  sweep: (wanted: (name: string) => boolean) => Promise<void>
}

/** What of a folder is listed. */
export interface ListOptions {
  /** Only names that begin so. */
  prefix?: string
  /** Only names behind this one. */
  startAfter?: string
}

/** How a file is written. */
export interface BeginOptions {
  /** Whether it may be gone, or cut short, after a loss of power: it is one that nobody needs. */
  isExpendable?: boolean
}

/** Bytes of a file from `start` up to before `end`. */
export interface ByteRange {
  start: number
  end: number
}

/** A file while it is written. Ends with `discard`, whatever came of it. */
export interface PendingFile {
  append: (bytes: string | Uint8Array) => Promise<void>
  /**
   * Makes the bytes survive a loss of power; none may follow. `modifiedAt`, in milliseconds since 1970, becomes the
   * time of the file where a store can set it.
   */
  seal: (modifiedAt?: number) => Promise<void>
  /**
   * Brings the file, which is sealed, under its name unless there is one of that name, in one step. Answers what
   * stands there now: `put` our bytes, by this call; `same` our bytes, from before; `other` other bytes, left untouched.
   */
  putIfAbsent: () => Promise<'put' | 'same' | 'other'>
  /** Brings the file, which is sealed, under its name in one step, in place of one that may be there. */
  replace: () => Promise<void>
  /** Lets go of the file and removes what readers do not see of it. Never throws: what it misses, a sweep finds. */
  discard: () => Promise<void>
}

/** Thrown when a file that is to be read is not there. */
export class FileMissingError extends Error {
  override readonly name = 'FileMissingError'

  constructor(location: string, name: string) {
    super(`There is no file ${name} in ${location}.`)
  }
}

/** Answers the name; throws when it leads elsewhere than into a folder or one level below. */
export function checkFileName(name: string): string {
  const parts = name.split('/')
  if (parts.length <= 2 && !parts.some((part) => ['', '.', '..'].includes(part))) return name
  throw new Error(`"${name}" is not the name of a file in a folder.`)
}
