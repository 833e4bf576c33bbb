import { appendCommit } from '../commits/append.ts'
import { type Ledger, newHead, openTable, type TableLedger } from '../commits/ledger.ts'
import type {
  CatalogChange,
  ChangedTable,
  Commit,
  TableCreation,
  TableDefinition,
  Unit,
} from '../commits/unit.ts'
import { validateCommit } from '../delta/validation.ts'
import { Problem } from '../problems.ts'
import { foreignLog, locationTaken, nameTaken } from '../tables/rules.ts'
import { tableReserved } from './reservations/rules.ts'

/** A change that may take effect, with its table; a new one stands before version 0. */
type AcceptedChange =
  | { change: TableCreation; definition: TableDefinition; table: TableLedger }
  | { change: Exclude<CatalogChange, TableCreation>; definition?: undefined; table: TableLedger }

/** All changes as they are accepted, or the first that is not, and why. */
type JudgedChanges =
  | { accepted: AcceptedChange[]; refused?: undefined }
  | { problem: Problem; refused: CatalogChange }

/** Names and places as the changes before leave them. */
interface Catalog {
  ledger: Ledger
  /** In lower case. */
  names: Map<string, string>
  locations: { name: string; location: string }[]
  /** Who changes it. */
  transactionId: string | undefined
}

/** Where the changes of a unit take place, and the tables that it commits to besides. */
interface ChangingUnit {
  ledger: Ledger
  committed: readonly TableLedger[]
  transactionId: string | undefined
}

/**
 * Judges changes in their order: a name that one of them gives free may be taken by the next. `committed` are tables
 * that the unit commits to, which it cannot drop or bring back as well.
 */
export function judgeChanges(
  changes: readonly CatalogChange[],
  { ledger, committed, transactionId }: ChangingUnit,
): JudgedChanges {
  const names = new Map(ledger.catalog.namesTaken.map((name) => [name.toLowerCase(), name]))
  const catalog: Catalog = { ledger, names, locations: [], transactionId }
  const accepted: AcceptedChange[] = []
  for (const change of changes) {
    const verdict =
      change.kind === 'create' ? judgeCreation(change, catalog) : judgeDrop(change, catalog)
    if (verdict instanceof Problem) return { problem: verdict, refused: change }
    const others = [...committed, ...accepted.map(({ table }) => table)]
    if (others.includes(verdict.table)) return { problem: repeatedTable(), refused: change }
    accepted.push(verdict)
  }
  return { accepted }
}

function judgeDrop(
  change: Exclude<CatalogChange, TableCreation>,
  { ledger, names, transactionId }: Catalog,
): AcceptedChange | Problem {
  const table = ledger.tables.get(change.table)
  if (table === undefined) return unknownTable(change.table)
  const reserved = judgeReservation(table, transactionId)
  if (reserved !== undefined) return reserved
  const { name, droppedAt } = table.head
  const key = name.toLowerCase()
  if (change.kind === 'undrop' && droppedAt !== null) {
    if (names.has(key)) return nameTaken(names.get(key) ?? name)
    names.set(key, name)
  }
  if (change.kind === 'drop' && droppedAt === null) names.delete(key)
  return { change, table }
}

function judgeCreation(
  change: TableCreation,
  { ledger, names, locations }: Catalog,
): AcceptedChange | Problem {
  const { table: name, location, place } = change
  const { definition, around } = ledger.catalog.creations.get(place) ?? {}
  if (definition === undefined) throw new Error('a table is to be made that was not looked at')
  if (definition instanceof Problem) return definition
  const taken = names.get(name.toLowerCase())
  if (taken !== undefined) return nameTaken(taken)
  const neighbour = around ?? locations.find((other) => collide(other.location, location))
  if (neighbour !== undefined) return locationTaken(location, neighbour)
  if (change.hasLog) return foreignLog(location)
  const illegal = judgeFirstActions(change, definition)
  if (illegal !== undefined) return illegal
  names.set(name.toLowerCase(), name)
  locations.push({ name, location })
  const head = newHead({ id: change.id, name }, definition)
  return { change, definition, table: openTable(head) }
}

function collide(one: string, other: string): boolean {
  return `${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`)
}

/** Version 0 begins with the protocol and the metadata; `index` is told of the actions behind them. */
function judgeFirstActions(
  { proposal: { actions } }: TableCreation,
  { protocol, metadata }: TableDefinition,
): Problem | undefined {
  const defining = [protocol, metadata]
  const found = validateCommit([...defining, ...actions], undefined)
  const violations = found.map((one) => ({ ...one, index: one.index - defining.length }))
  const [first] = violations
  if (first === undefined) return undefined
  const more = violations.length > 1 ? ` And ${violations.length - 1} more.` : ''
  return new Problem('invalid-actions', `actions[${first.index}]: ${first.message}.${more}`, {
    facts: {
      violations: violations.slice(0, violationsMax),
      numViolations: violations.length,
    },
  })
}

const violationsMax = 100

/** What all tables of a unit are entered with. */
export interface EnteringUnit {
  ledger: Ledger
  inCommitTimestamp: number
  transactionId: string | undefined
}

/** Enters an accepted change into the books. */
export function enterChange(
  { change, definition, table }: AcceptedChange,
  { ledger: { writes }, ...entering }: EnteringUnit,
): Commit | ChangedTable {
  const { head } = table
  if (definition === undefined) {
    const isDropped = change.kind === 'drop'
    writes.drops.push({ id: head.id, isDropped })
    const { id: tableId, version, inCommitTimestamp } = head
    return { status: isDropped ? 'dropped' : 'undropped', tableId, version, inCommitTimestamp }
  }
  const { proposal, location } = change
  const { protocol, metadata } = definition
  const actions = [protocol, metadata, ...proposal.actions]
  const info = new Map([...definition.info, ...proposal.info])
  const row = appendCommit(writes, table, { proposal: { ...proposal, info, actions }, ...entering })
  writes.tables.push({ head, location })
  return { status: 'created', row, rebasedOver: [] }
}

/** What became of the parts and the changes of a unit, in the order in which its caller has named them. */
export function inPlaces(
  { parts, changes = [] }: Unit,
  commits: readonly Commit[],
  changed: readonly (Commit | ChangedTable)[],
): (Commit | ChangedTable)[] {
  const written = parts.filter(({ onlyReads }) => !onlyReads)
  const places = [...written, ...changes].map(({ place }, at) => place ?? at)
  const tables = [...commits, ...changed].map((table, at) => ({ table, place: places[at] ?? at }))
  return tables.sort((a, b) => a.place - b.place).map(({ table }) => table)
}

/** Refuses to write to a table that another transaction has reserved. */
export function judgeReservation(
  { head, reservation }: TableLedger,
  transactionId: string | undefined,
): Problem | undefined {
  if (reservation === undefined || reservation.transactionId === transactionId) return undefined
  return tableReserved(head.name, reservation)
}

/** The refusal of a table that a unit names twice. */
export function repeatedTable(): Problem {
  const message = 'names a table that is named before; say all about it in one place'
  return new Problem('invalid-request', `It ${message}.`, {
    facts: { errors: [{ pointer: '', message }] },
  })
}

/** The refusal of a unit for a table that is not there. */
export function unknownTable(table: string): Problem {
  return new Problem('table-not-found', `There is no table "${table}".`)
}
