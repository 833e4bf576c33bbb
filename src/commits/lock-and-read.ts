import type { Tx } from '../database/connect.ts'
import { claimKeys, findAnswers, keysOf } from '../idempotency/queries.ts'
import { lockFences } from '../locks/fence-queries.ts'
import type { Fence } from '../locks/fences.ts'
import type { StateProposal } from '../state/operations.ts'
import { findEntries, lockNamespaces } from '../state/queries.ts'
import { findStaleRanges } from '../state/range-queries.ts'
import { findExisting, lockCatalog, lockHeads } from '../tables/queries.ts'
import { isTableId } from '../tables/rules.ts'
import { readCatalog } from '../transactions/read-catalog.ts'
import { findReservations } from '../transactions/reservations/queries.ts'
import { lockClaims } from '../transactions/staged/queries.ts'
import type { KeyState } from './judge.ts'
import type { BatchState } from './ledger.ts'
import { countFilesWithoutRowIds, findCommits, findLiveFiles } from './queries.ts'
import type { Head } from './rows.ts'
import {
  appTransactionsAsked,
  carriersOf,
  changedReads,
  entriesAsked,
  fencesOf,
  filesTouched,
  partsOf,
  placeParts,
  relyingOnRowIds,
  takenVersions,
  winnersWanted,
} from './touched.ts'
import type { CatalogChange, Unit } from './unit.ts'
import { findAppTransactions, findReadStates, listWinners } from './winners.ts'

/** How a batch deals with tables that another transaction holds. */
export interface Waiting {
  /** Whether it waits for them, or passes by their units. */
  waits: boolean
  /** Whether a wait is likely; then nothing is read before the locks are there, for it would be read again. */
  expectsWait?: boolean
  /** Called when it has waited, or expected to: units on its tables that have come meanwhile, and go with it. */
  takeIn?: (() => readonly Unit[]) | undefined
}

/** What a batch has found under its locks, and its units by then. */
export interface Found {
  units: readonly Unit[]
  state: BatchState
  keyState: KeyState
  /** Tables, namespaces and locks of fences, by `keyOf`, that were held, which it did not lock. */
  held: ReadonlySet<string | number>
  waited: boolean
  /** Tables that were reserved, and are no more. */
  freed: string[]
}

/**
 * Locks what the verdicts depend on, and reads it under the locks, in as few journeys as can be: one, if tables are
 * named by id and none is waited for.
 */
export async function lockAndRead(
  tx: Tx,
  units: readonly Unit[],
  reading: Waiting & { idempotencyRetentionMs: number },
): Promise<Found> {
  const { idempotencyRetentionMs, waits, expectsWait = false, takeIn = () => [] } = reading
  const parts = partsOf(units)
  const changes = units.flatMap((unit) => unit.changes ?? [])
  const tables = [...new Set([...parts, ...changes.filter(isOfOld)].map(({ table }) => table))]
  const catalogLock = changes.length > 0 ? await lockCatalog(tx) : { now: 0 }
  // Statements run in the order in which they are issued: the locks first.
  const claiming = claimKeys(tx, keysOf(units))
  const locking = lockHeads(tx, tables, { skipHeld: !waits })
  const claims = lockClaims(tx, claimsOf(units))
  const ids = namespacesOf(units)
  const lockingState = lockNamespaces(tx, ids, { skipHeld: !waits })
  const fencing = lockFences(tx, allFences(units), { skipHeld: !waits })
  // Tables that are named by id can be read at once; those named by name are only known when locked.
  const readsEarly = !expectsWait && parts.every((part) => isTableId(part.table))
  const early = readsEarly ? read(tx, units, { heads: [], idempotencyRetentionMs }) : undefined
  const [busy, locked, foundEarly, standing, namespaces, fences] = await Promise.all([
    claiming,
    locking,
    early,
    claims,
    lockingState,
    fencing,
  ])
  const { heads } = locked
  const waited = locked.waited || namespaces.waited
  const more = waited || expectsWait ? takeIn() : []
  const all = [...units, ...more]
  const [busyToo, standingToo, fencesToo, { kept, ...touched }] = await Promise.all([
    claimKeys(tx, keysOf(more)),
    lockClaims(tx, claimsOf(more)),
    lockFences(tx, allFences(more), { skipHeld: !waits }),
    more.length === 0 && foundEarly !== undefined
      ? foundEarly
      : read(tx, all, { heads, idempotencyRetentionMs }),
  ])
  const placed = placeParts(partsOf(all), heads)
  const now = Math.max(locked.now, namespaces.now, catalogLock.now)
  const [takers, readStates, heldTables, catalog, reservations] = await Promise.all([
    findCommits(tx, [...takenVersions(placed, heads), ...carriersOf(touched.appTransactions)]),
    findReadStates(tx, changedReads(placed, touched.winners ?? [])),
    waits ? [] : findExisting(tx, unlocked(tables, heads)),
    changes.length > 0 ? readCatalog(tx, changes, { heads, now }) : undefined,
    findReservations(tx, locked.reserved),
  ])
  const freed = locked.reserved.filter((id) => !reservations.some((one) => one.tableId === id))
  const keyState = { busy: new Set([...busy, ...busyToo]), kept }
  const known = new Set([...standing, ...standingToo])
  const lockedIds = new Set(namespaces.heads.map(({ id }) => id))
  const heldNamespaces = waits ? [] : ids.filter((id) => !lockedIds.has(id))
  const held = new Set<string | number>([...heldTables, ...heldNamespaces, ...fences.held])
  const found = {
    now,
    heads,
    namespaces: namespaces.heads,
    takers,
    readStates,
    catalog,
    reservations,
    claims: known,
    fencedLocks: [...fences.locks, ...fencesToo.locks],
  }
  return { units: all, state: { ...found, ...touched }, keyState, held, waited, freed }
}

/** The claims by which transactions that were begun earlier are committed. */
function claimsOf(units: readonly Unit[]): { id: string; claim: string }[] {
  return units.flatMap(({ transaction }) => {
    const { id, begun } = transaction ?? {}
    return id === undefined || begun === undefined ? [] : { id, claim: begun.claim }
  })
}

function proposalsOf(units: readonly Unit[]): StateProposal[] {
  return units.flatMap(({ state = [] }) => state)
}

function allFences(units: readonly Unit[]): Fence[] {
  return units.flatMap(fencesOf)
}

function namespacesOf(units: readonly Unit[]): number[] {
  return [...new Set(proposalsOf(units).map(({ namespaceId }) => namespaceId))]
}

/** Whether a change is of a table that there is, or should be. */
function isOfOld({ kind }: CatalogChange): boolean {
  return kind !== 'create'
}

/** The tables that are none of the heads: they are held, or not there. */
function unlocked(tables: readonly string[], heads: readonly Head[]): string[] {
  const locked = new Set(heads.flatMap(({ id, name }) => [id, name]))
  return tables.filter((table) => !locked.has(table))
}

/** Reads what units touch: kept answers, live files, commits since the versions read, app transactions, state entries. */
async function read(
  tx: Tx,
  units: readonly Unit[],
  { heads, idempotencyRetentionMs }: { heads: readonly Head[]; idempotencyRetentionMs: number },
) {
  const parts = placeParts(partsOf(units), heads)
  const [kept, liveFiles, winners, appTransactions, filesWithoutRowIds, entries, staleRanges] =
    await Promise.all([
      findAnswers(tx, keysOf(units), idempotencyRetentionMs),
      findLiveFiles(tx, filesTouched(parts)),
      listWinners(tx, winnersWanted(parts)),
      findAppTransactions(tx, appTransactionsAsked(parts)),
      countFilesWithoutRowIds(tx, relyingOnRowIds(parts)),
      findEntries(tx, entriesAsked(proposalsOf(units))),
      findStaleRanges(tx, proposalsOf(units)),
    ])
  return { kept, liveFiles, winners, appTransactions, filesWithoutRowIds, entries, staleRanges }
}
