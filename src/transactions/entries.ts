import type { CreateCommit } from '../commits/schema.ts'
import type { Fault } from '../delta/faults.ts'
import { invalidRequest } from '../http/faults.ts'
import type { CreateTable } from '../tables/schema.ts'
import type { StageTable, TransactionTable } from './schema.ts'

/** An entry of `tables` of one of its four kinds; `table` is what it names. */
export type TableEntry =
  | { kind: 'table'; table: string; proposed: CreateCommit }
  | { kind: 'create'; table: string; create: CreateTable; proposed: CreateCommit }
  | { kind: 'drop' | 'undrop'; table: string }

/**
 * Tells the kinds of entries apart. Throws with every fault of those that are of none. Where more requests may follow,
 * a table's actions may too.
 */
export function readEntries(
  tables: readonly TransactionTable[],
  { isWhole }: { isWhole: boolean },
): TableEntry[] {
  const faults: Fault[] = []
  const entries = tables.flatMap((given, index) => {
    const mayFollow = !isWhole && given.table !== undefined
    const entry = readEntry(mayFollow ? { actions: [], ...given } : given)
    if ('kind' in entry) return entry
    faults.push({ ...entry, pointer: `/tables/${index}${entry.pointer}` })
    return []
  })
  if (faults.length > 0) throw invalidRequest('body', faults.slice(0, faultsMax))
  return entries
}

/** The entry that a request stages for the table in its address. Throws with what is wrong with it. */
export function readStaged(
  table: string,
  { create, drop, undrop, ...fields }: StageTable,
): TableEntry {
  const isOfTable = create === undefined && drop === undefined && undrop === undefined
  const entry = readEntry({
    ...fields,
    ...(isOfTable && { table, actions: fields.actions ?? [] }),
    ...(create && { create }),
    ...(drop && { drop: table }),
    ...(undrop && { undrop: table }),
  })
  if (!('kind' in entry)) throw invalidRequest('body', [entry])
  if (create === undefined || create.name === table) return entry
  const message = `must be the name in the address, ${table}`
  throw invalidRequest('body', [{ pointer: '/create/name', message }])
}

const faultsMax = 100
const kinds = ['table', 'create', 'drop', 'undrop'] as const
/** What says which version is meant, or was read, or makes a repetition a duplicate: a new table has no use for it. */
const ofOldTables = [
  'expectedVersion',
  'readVersion',
  'reads',
  'isolationLevel',
  'idempotency',
] as const

function readEntry(given: TransactionTable): TableEntry | Fault {
  const { table, create, drop, undrop, actions, ...fields } = given
  const [kind, ...others] = kinds.filter((name) => given[name] !== undefined)
  if (kind === undefined || others.length > 0) {
    return { pointer: '', message: `must have one of ${kinds.join(', ')}` }
  }
  if (table !== undefined) {
    if (actions === undefined) return { pointer: '/actions', message: 'is missing; name them' }
    return { kind: 'table', table, proposed: { ...fields, actions } }
  }
  if (create !== undefined) {
    const misplaced = ofOldTables.find((name) => given[name] !== undefined)
    if (misplaced !== undefined) {
      return { pointer: `/${misplaced}`, message: 'means nothing for a new table; leave it out' }
    }
    const proposed = { ...fields, actions: actions ?? [] }
    return { kind: 'create', table: create.name, create, proposed }
  }
  if (Object.keys(given).length > 1) return { pointer: '', message: `takes nothing beside ${kind}` }
  return { kind: kind === 'drop' ? 'drop' : 'undrop', table: drop ?? undrop ?? '' }
}
