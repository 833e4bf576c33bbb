import fc from 'fast-check'
import { judgeBatch } from '../../src/commits/judge.ts'
import type { Proposal, Unit, Verdict } from '../../src/commits/unit.ts'
import type { Action } from '../../src/delta/actions.ts'
import type { FencedLock } from '../../src/locks/fences.ts'
import { applyWrites, type MemoryDatabase, newHead, readState } from './memory-database.ts'

const tables = ['a', 'b']
const paths = ['p', 'q', 'r']
const fencedLocks: FencedLock[] = [
  { kind: 'lock', name: 'l', lastToken: 2, holders: [{ token: 2, mode: 'exclusive' }] },
]
const noKeys = { kept: new Map(), busy: new Set<string>() }

/** What a writer of a random history does, at once on some tables. */
export interface Step {
  expected: number | null
  /** The version read, and what was read of it: files, or the whole table. */
  read: number | null
  files: string[]
  wholeTable: boolean
  tables: string[]
  /** The token that must be in force; the lock has token 2. */
  fence: number | null
  /** Log lines. */
  lines: string[]
}

const addLine = fc
  .record({ path: fc.constantFrom(...paths), size: fc.nat(9), records: fc.option(fc.nat(9)) })
  .map(({ path, size, records }) =>
    JSON.stringify({
      add: {
        path,
        partitionValues: {},
        size,
        modificationTime: 1,
        dataChange: true,
        ...(records !== null && { stats: JSON.stringify({ numRecords: records }) }),
      },
    }),
  )
const removeLine = fc
  .constantFrom(...paths)
  .map((path) => JSON.stringify({ remove: { path, dataChange: true } }))
const txnLine = fc
  .record({ appId: fc.constantFrom('x', 'y'), version: fc.nat(5) })
  .map((txn) => JSON.stringify({ txn }))

/** Histories of writers on few tables and few paths, so that they meet. */
export const histories: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    expected: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.nat(6)),
    read: fc.oneof({ weight: 2, arbitrary: fc.constant(null) }, fc.nat(4)),
    files: fc.subarray(paths),
    wholeTable: fc.boolean(),
    tables: fc.subarray(tables, { minLength: 1 }),
    fence: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.integer({ min: 1, max: 2 })),
    lines: fc.array(fc.oneof(addLine, removeLine, txnLine), { maxLength: 4 }),
  }),
  { maxLength: 14, size: 'max' },
)

export function toAction(json: string): Action {
  const [[kind, body]] = Object.entries(JSON.parse(json)) as [[string, never]]
  return { kind, body, json } as Action
}

function toUnit(step: Step, note: (verdict: Verdict) => void): Unit {
  const proposal: Proposal = {
    expectedVersion: step.expected ?? undefined,
    readVersion: step.read ?? undefined,
    reads: step.read === null ? undefined : { files: step.files, wholeTable: step.wholeTable },
    operation: 'WRITE',
    info: new Map(),
    actions: step.lines.map(toAction),
  }
  return {
    parts: step.tables.map((table) => ({ table, proposal })),
    fences: step.fence === null ? [] : [{ kind: 'lock', name: 'l', token: step.fence }],
    answer: (verdict) => {
      note(verdict)
      return { status: 200, headers: {}, body: '' }
    },
  }
}

/** Judges the steps in batches of these sizes, over and over, each on what the ones before have written. */
export function runHistory(steps: readonly Step[], sizes: readonly number[]) {
  const database: MemoryDatabase = {
    heads: tables.map(newHead),
    commits: [],
    files: [],
    actions: [],
  }
  const verdicts: Verdict[] = []
  const units = steps.map((step) => toUnit(step, (verdict) => verdicts.push(verdict)))
  for (let at = 0, turn = 0; at < units.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1
    const batch = units.slice(at, at + size)
    const state = { ...readState(database, batch, 1000 + turn), fencedLocks }
    applyWrites(database, judgeBatch(batch, state, noKeys).writes)
    at += size
  }
  return { database, verdicts }
}

/** Slow and obvious: what a reader makes of the log of a table, one version after the other. */
export function replay(database: MemoryDatabase, tableId: string, version: number) {
  const live = new Map<string, { size: number; records: number }>()
  const txns = new Map<string, number>()
  for (let at = 1; at <= version; at += 1) {
    const actions = listLines(database, tableId, at).map(([, line]) => JSON.parse(line))
    for (const { remove } of actions) if (remove) live.delete(remove.path)
    for (const { add, txn } of actions) {
      if (txn) txns.set(txn.appId, txn.version)
      if (add)
        live.set(add.path, {
          size: add.size,
          records: JSON.parse(add.stats ?? '{}').numRecords ?? 0,
        })
    }
  }
  return { live, txns }
}

/** The lines of a version with their places, in the order of the log file. */
export function listLines(
  { files, actions }: MemoryDatabase,
  tableId: string,
  version: number,
): [number, string][] {
  const added = files.flatMap((file): [number, string][] =>
    file.tableId === tableId && file.addedVersion === version && file.add !== null
      ? [[file.addedPosition, file.add]]
      : [],
  )
  const removed = files.flatMap((file): [number, string][] =>
    file.tableId === tableId && file.removedVersion === version && file.remove !== null
      ? [[file.removedPosition ?? -1, file.remove]]
      : [],
  )
  const others = actions.flatMap((row): [number, string][] =>
    row.tableId === tableId && row.version === version ? [[row.position, row.action]] : [],
  )
  return [...added, ...removed, ...others].sort(([a], [b]) => a - b)
}
