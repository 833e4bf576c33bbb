import { fileKeysOf } from '../delta/paths.ts'
import { reliesOnRowIds } from '../delta/row-tracking.ts'
import type { Fence } from '../locks/fences.ts'
import type { StateProposal } from '../state/operations.ts'
import type { AskedEntry } from '../state/queries.ts'
import { isTableId } from '../tables/rules.ts'
import type { WinnerCommit } from './ledger.ts'
import type { AppTransactionRow, Head } from './rows.ts'
import type { Part, Proposal, Unit } from './unit.ts'
import type { WinnersWanted } from './winners.ts'

/** A part with the id of its table. */
export interface PlacedPart {
  tableId: string
  proposal: Proposal
}

/** The parts of all units. */
export function partsOf(units: readonly Unit[]): Part[] {
  return units.flatMap((unit) => unit.parts)
}

/** All fences of a unit. */
export function fencesOf({ parts, changes = [], fences = [] }: Unit): Fence[] {
  const creations = changes.filter((change) => change.kind === 'create')
  return [...fences, ...[...parts, ...creations].flatMap(({ proposal }) => proposal.fences ?? [])]
}

/** The parts whose tables are known: those named by id, and those named by the name of one of the heads. */
export function placeParts(parts: readonly Part[], heads: readonly Head[]): PlacedPart[] {
  const ids = new Map(heads.map((head) => [head.name, head.id]))
  return parts.flatMap(({ table, proposal }) => {
    const tableId = isTableId(table) ? table : ids.get(table)
    return tableId === undefined ? [] : { tableId, proposal }
  })
}

/** The entries that proposals name; what is compared or read, whole. */
export function entriesAsked(proposals: readonly StateProposal[]): AskedEntry[] {
  const asked = new Map<string, AskedEntry>()
  const ask = (namespaceId: number, key: string, isWhole: boolean) => {
    const name = `${namespaceId}/${key}`
    const known = asked.get(name)
    if (known === undefined) asked.set(name, { namespaceId, key, isWhole })
    else known.isWhole ||= isWhole
  }
  for (const { namespaceId, compare = [], operations, otherwise = [], reads } of proposals) {
    for (const { key } of reads?.keys ?? []) ask(namespaceId, key, false)
    for (const { key, target } of compare) {
      ask(namespaceId, key, target === 'value' || target === 'metadata')
    }
    for (const { key, kind } of [...operations, ...otherwise]) {
      ask(namespaceId, key, kind === 'get')
    }
  }
  return [...asked.values()]
}

/** The places of the files that the parts add or remove. */
export function filesTouched(parts: readonly PlacedPart[]) {
  return parts.flatMap(({ tableId, proposal }) =>
    fileKeysOf(proposal.actions).map((path) => ({ tableId, path })),
  )
}

/** The tables in which the parts let readers rely on row ids, or go on to let them. */
export function relyingOnRowIds(parts: readonly PlacedPart[]): string[] {
  const relies = ({ proposal }: PlacedPart) =>
    proposal.actions.some((action) => action.kind === 'metaData' && reliesOnRowIds(action.body))
  return [...new Set(parts.filter(relies).map(({ tableId }) => tableId))]
}

/** The app transactions that the parts must not repeat. */
export function appTransactionsAsked(parts: readonly PlacedPart[]) {
  return parts.flatMap(({ tableId, proposal: { appTransaction } }) =>
    appTransaction === undefined ? [] : { tableId, ...appTransaction },
  )
}

/** For each table the oldest version read; the files that winners add matter only to who read more than files. */
export function winnersWanted(parts: readonly PlacedPart[]): WinnersWanted[] {
  const wanted = new Map<string, WinnersWanted>()
  for (const { tableId, proposal } of parts) {
    const { readVersion, reads } = proposal
    if (readVersion === undefined) continue
    const before = wanted.get(tableId)
    const after = Math.min(readVersion, before?.after ?? readVersion)
    const adds = reads?.wholeTable === true || (reads?.predicates?.length ?? 0) > 0
    wanted.set(tableId, { tableId, after, adds: adds || before?.adds === true })
  }
  return [...wanted.values()]
}

/** A version of a table. */
export interface TableVersion {
  tableId: string
  version: number
}

/** The versions that the parts expect but that are taken. */
export function takenVersions(
  parts: readonly PlacedPart[],
  heads: readonly Head[],
): TableVersion[] {
  const newest = new Map(heads.map((head) => [head.id, head.version]))
  return parts.flatMap(({ tableId, proposal: { expectedVersion: version } }) => {
    const isTaken = version !== undefined && version <= (newest.get(tableId) ?? -1)
    return isTaken ? { tableId, version } : []
  })
}

/** The commits that proposals may be duplicates of. */
export function carriersOf(rows: readonly AppTransactionRow[]): TableVersion[] {
  return rows
    .filter((row) => row.appVersion >= row.asked)
    .flatMap(({ tableId, carriedIn, committedIn }) =>
      [...new Set([carriedIn, committedIn])].map((version) => ({ tableId, version })),
    )
}

/** The versions read since which the protocol or the metadata of the table was changed. */
export function changedReads(
  parts: readonly PlacedPart[],
  winners: readonly WinnerCommit[],
): TableVersion[] {
  const changes = winners.filter((winner) => winner.changesTable)
  return parts.flatMap(({ tableId, proposal: { readVersion: version } }) => {
    const isChanged =
      version !== undefined &&
      changes.some(({ row }) => row.tableId === tableId && row.version > version)
    return isChanged ? { tableId, version } : []
  })
}
