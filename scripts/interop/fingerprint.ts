import { createHash } from 'node:crypto'

/** A folder of a table, and versions of it to read. */
export interface Asked {
  location: string
  /** The newest that is there, as the service knows it. */
  newest: number
  versions: readonly number[]
}

/** A version as a reader finds it: its schema as the reader tells it, and what its rows come to, in any order. */
export interface VersionFound {
  version: number
  schema?: string
  /** What the names of its live files come to, where the reader tells them. */
  files?: string
  rows?: number
  hash?: string
  /** Why the reader would not read it. */
  error?: string
}

/** What a reader finds in a folder. */
export interface Found {
  /** The newest version, or why the reader does not say. */
  newest: number | string
  versions: VersionFound[]
}

/** What rows, each as a text that holds all of it, come to. */
export function hashOf(rows: readonly string[]): string {
  const hash = createHash('sha256')
  for (const row of rows.toSorted()) hash.update(`${row}\n`)
  return hash.digest('hex')
}
