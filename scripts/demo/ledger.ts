import type { WrittenFile } from './data-files.ts'
import type { Column, Row } from './parquet.ts'

/** What a client knows that its commit did. */
export interface Change {
  version: number
  operation: string
  added?: readonly WrittenFile[]
  removedPaths?: readonly string[]
  /** The columns of the table from this version on, where they change. */
  columns?: readonly Column[]
}

/** A table at one version, as its writers know it without asking anyone. */
export interface ExpectedVersion {
  version: number
  operation: string
  columns: readonly Column[]
  /** In the order of their JSON text. */
  rows: readonly Row[]
}

/** What an independent reader must find in the folder that the demo leaves. */
export interface Expected {
  table: { id: string; name: string; location: string; partitionColumns: readonly string[] }
  versions: readonly ExpectedVersion[]
}

/** A table that consumers have filled, and its rows, each of which must be there once. */
export interface Consumed {
  location: string
  rows: readonly Row[]
}

/** What the demo leaves. */
export interface Left extends Expected {
  consumed: Consumed
}

/** Replays what the clients did, in the order of their versions; throws unless that is 0, 1, 2, …. */
export function replay(changes: readonly Change[]): ExpectedVersion[] {
  const live = new Map<string, readonly Row[]>()
  let columns: readonly Column[] = []
  return changes
    .toSorted((a, b) => a.version - b.version)
    .map((change, index) => {
      if (change.version !== index) throw new Error(`version ${index} was committed by nobody`)
      for (const path of change.removedPaths ?? []) live.delete(path)
      for (const { add, rows } of change.added ?? []) live.set(add.path, rows)
      columns = change.columns ?? columns
      const rows = sortRows([...live.values()].flat().map((row) => inColumns(row, columns)))
      return { version: index, operation: change.operation, columns, rows }
    })
}

/** Rows in the order of their JSON text, so that the same rows are the same list. */
export function sortRows(rows: readonly Row[]): Row[] {
  return rows
    .map((row) => ({ row, text: JSON.stringify(row) }))
    .toSorted((a, b) => (a.text < b.text ? -1 : 1))
    .map(({ row }) => row)
}

/** The row with exactly these columns, in their order; one that it lacks is null. */
export function inColumns(row: Row, columns: readonly Column[]): Row {
  return Object.fromEntries(columns.map(({ name }) => [name, row[name] ?? null]))
}
