import type { Db } from '../database/connect.ts'
import { inTransaction, whileAlive } from '../database/transaction.ts'
import { checkpointInterval } from '../delta/checkpoints/settings.ts'
import { checksumFileName, deltaLogOf, parseLogFileName } from '../delta/log-files.ts'
import type { Folder, Storage } from '../storage/storage.ts'
import {
  type FollowedTable,
  type FollowedTo,
  type KeyedAction,
  listHolding,
  listKeyedActions,
  listVersions,
  lockFollowed,
  recordFollowed,
  type VersionRow,
} from './checksum-queries.ts'
import { ChecksumState, heldKeysMax } from './checksum-state.ts'
import type { Found } from './lookout.ts'
import { recordCheckpointFailures } from './queries.ts'
import { dueVersion } from './rules.ts'

/** What is done in one go: tables, and versions of all of them. */
const roundMax = { tablesMax: 100, versionsMax: 500 }
/** Milliseconds after which no more is written, so that what a slow store has taken by then is recorded. */
const writingMsMax = 10_000
/** Files of one table that are written at the same time. */
const filesAtOnce = 32

/** A table with all that is to be looked at. */
interface Share {
  table: FollowedTable
  /** Tables in whose logs nothing is left of writers that were stopped halfway. */
  swept: Set<string>
  versions: readonly VersionRow[]
  changes: ReadonlyMap<number, readonly KeyedAction[]>
  holding: readonly KeyedAction[]
  /** When to write no more. */
  deadline: number
}

/** What checksums are written with. */
export interface ChecksumWriting {
  storage: Storage
  /** Tables whose logs were swept, from call to call. */
  swept: Set<string>
  msMax?: number
}

/** What came of a look for work, and how many versions were looked at. */
interface Written extends Found {
  versions: number
}

/**
 * Writes checksums beside commits that were published, and notes of which versions a checkpoint is due. What fails at
 * one table is no other's. Looks for work at some tables, or at all.
 */
export function writeChecksums(
  db: Db,
  tableIds: readonly string[] | undefined,
  { storage, swept, msMax = writingMsMax }: ChecksumWriting,
): Promise<Written> {
  return inTransaction(db, async (tx) => {
    const began = performance.now()
    const tables = await lockFollowed(tx, tableIds, roundMax)
    const lookMs = performance.now() - began
    if (tables.length === 0) return { done: [], failed: [], versions: 0, lookMs, isCut: false }
    const byTable = <Row extends { tableId: string }>(rows: readonly Row[]) =>
      Map.groupBy(rows, ({ tableId }) => tableId)
    const versions = byTable(await listVersions(tx, tables))
    const changes = byTable(await listKeyedActions(tx, tables))
    const holding = byTable(await listHolding(tx, tables, heldKeysMax))
    const deadline = performance.now() + msMax
    const ends = await whileAlive(tx, () =>
      Promise.allSettled(
        tables.map((table) => {
          const { tableId } = table
          return writeOfTable(storage, {
            table,
            swept,
            versions: versions.get(tableId) ?? [],
            changes: Map.groupBy(changes.get(tableId) ?? [], ({ version }) => version),
            holding: holding.get(tableId) ?? [],
            deadline,
          })
        }),
      ),
    )
    const done = ends.flatMap((end) => (end.status === 'fulfilled' ? end.value : []))
    await recordFollowed(tx, done)
    const failures = ends.flatMap((end, index) => toFailure(end, tables[index]))
    await recordCheckpointFailures(tx, failures)
    return {
      done: done.map(({ tableId }) => tableId),
      failed: failures.map(({ tableId }) => tableId),
      versions: done.reduce((sum, { tableId, version }) => {
        const ofTable = versions.get(tableId) ?? []
        return sum + ofTable.filter((row) => row.version <= version).length
      }, 0),
      lookMs,
      isCut: tables.length === roundMax.tablesMax,
    }
  })
}

async function writeOfTable(storage: Storage, share: Share): Promise<FollowedTo> {
  const { table, swept, versions, changes, holding, deadline } = share
  const { tableId, to } = table
  const state = new ChecksumState(holding)
  const folder = await storage.open(deltaLogOf(table.location))
  if (!swept.has(tableId)) await folder.sweep(isChecksum)
  swept.add(tableId)
  let version = to
  for (let at = 0; at < versions.length; at += filesAtOnce) {
    const some = versions.slice(at, at + filesAtOnce).map((row) => ({
      name: checksumFileName(row.version),
      text: state.next(row, changes.get(row.version) ?? []),
    }))
    await Promise.all(some.map(({ name, text }) => text !== undefined && put(folder, name, text)))
    const next = versions[at + filesAtOnce]
    if (next !== undefined && performance.now() >= deadline) {
      version = next.version - 1
      break
    }
  }
  const { metaData } = JSON.parse(state.metaData())
  const interval = checkpointInterval(metaData.configuration)
  return { tableId, version, dueVersion: dueVersion(version, interval) }
}

function isChecksum(name: string): boolean {
  return parseLogFileName(name)?.kind === 'checksum'
}

/** Who finds another checksum there lets it stand: the protocol forbids to overwrite one. */
async function put(folder: Folder, name: string, text: string): Promise<void> {
  const file = await folder.begin(name, { isExpendable: true })
  try {
    await file.append(text)
    await file.seal()
    await file.putIfAbsent()
  } finally {
    await file.discard()
  }
}

function toFailure(
  end: PromiseSettledResult<FollowedTo>,
  table: FollowedTable | undefined,
): { tableId: string; error: string }[] {
  if (end.status === 'fulfilled' || table === undefined) return []
  const error = end.reason instanceof Error ? end.reason.message : String(end.reason)
  return [{ tableId: table.tableId, error }]
}
