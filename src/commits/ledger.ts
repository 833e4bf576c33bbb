import type { ActionRow, CommitRow, FileRow, Head, LiveFile, Writes } from './rows.ts'

/**
 * A table as it stands after the commits of the batch accepted so far, in memory. Of its files and commits it
 * knows those that the batch touches.
 */
export interface TableLedger {
  head: Head
  /** Whether the batch has committed to the table. */
  changed: boolean
  /** Live files by canonical path; `row` where this batch adds the file. */
  files: Map<string, { file: LiveFile; row?: FileRow }>
  /** Actions that this batch puts in force, by kind and key. */
  actionsInForce: Map<string, ActionRow>
  commits: Map<number, CommitRow>
}

/** What a batch finds in the database under its locks. */
export interface BatchState {
  /** Epoch milliseconds by the database's clock. */
  now: number
  heads: readonly Head[]
  liveFiles: readonly LiveFile[]
  /** Earlier commits that took a version expected by a proposal of the batch. */
  winners: readonly CommitRow[]
}

/** The rows that a ledger gathers. */
export type LedgerWrites = Omit<Writes, 'heads' | 'answers'>

/** The tables of a batch, to be found by id, or by name where not dropped. */
export interface Ledger {
  now: number
  tables: ReadonlyMap<string, TableLedger>
  writes: LedgerWrites
}

/** Opens the books of one table. The head itself is left unchanged. */
export function openTable(head: Head): TableLedger {
  return {
    head: { ...head },
    changed: false,
    files: new Map(),
    actionsInForce: new Map(),
    commits: new Map(),
  }
}

export function noWrites(): LedgerWrites {
  return { commits: [], files: [], fileUpdates: [], actions: [], actionUpdates: [] }
}

/** Opens the books of a batch over what was found. The state itself is left unchanged. */
export function openLedger(state: BatchState): Ledger {
  const tables = new Map<string, TableLedger>()
  for (const head of state.heads) {
    const table = openTable(head)
    tables.set(head.id, table)
    if (head.droppedAt === null) tables.set(head.name, table)
  }
  for (const file of state.liveFiles) tables.get(file.tableId)?.files.set(file.path, { file })
  for (const row of state.winners) tables.get(row.tableId)?.commits.set(row.version, row)
  return { now: state.now, tables, writes: noWrites() }
}

/** The heads that the batch has moved. */
export function changedHeads(ledger: Ledger): Head[] {
  const changed = [...new Set(ledger.tables.values())].filter((table) => table.changed)
  return changed.map((table) => table.head)
}
