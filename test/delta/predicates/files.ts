/** Random tables, and random files of them as writers would describe them. */
import type { StructField } from '../../../src/delta/data-types.ts'
import type { PredicateTable } from '../../../src/delta/predicates/columns.ts'
import type { FileFacts } from '../../../src/delta/predicates/file-values.ts'
import { column as field, mapped } from '../support.ts'
import { type ModelType, type ModelValue, modelTypes, type Pick } from './model.ts'
import { predicateTable, struct } from './support.ts'

export interface ModelStruct {
  name: string
  path: readonly string[]
}

export interface ModelColumn extends ModelStruct {
  type: ModelType
  isPartition: boolean
  /** The structs around it, outermost first. */
  structs: readonly ModelStruct[]
}

export interface ModelTable {
  columns: readonly ModelColumn[]
  structs: readonly ModelStruct[]
  table: PredicateTable
}

/** What each column holds in a row; null is null. A struct that is not null is true. */
export type Row = ReadonlyMap<ModelStruct, ModelValue>

const outer: ModelStruct = { name: 's', path: ['s'] }
const inner: ModelStruct = { name: 's.`t.u`', path: ['s', 't.u'] }
const places: readonly (readonly ModelStruct[])[] = [[], [], [outer], [outer, inner]]

function randomColumn(index: number, isPartition: boolean, pick: Pick): ModelColumn {
  const structs = isPartition ? [] : pick(places)
  const around = structs.at(-1)
  const last = `c${index}${pick(['', 'ö', ' x'])}`
  return {
    name: around ? `${around.name}.${last}` : last,
    path: [...(around?.path ?? []), last],
    type: pick(modelTypes),
    isPartition,
    structs,
  }
}

/** With column mapping, a field is known to files by another name. */
function physical(name: string): string {
  return `col-${name}`
}

function fieldOf(name: string, type: StructField['type'], metadata = {}): StructField {
  return field(name, type, { ...metadata, ...mapped(1, physical(name)) })
}

function fieldsIn(columns: readonly ModelColumn[], place: ModelStruct | undefined): StructField[] {
  const here = columns.filter(({ structs }) => structs.at(-1) === place)
  const fields = here.map(({ path, type }) => fieldOf(path.at(-1) ?? '', type.name, type.metadata))
  const next = place === undefined ? outer : place === outer ? inner : undefined
  if (!next || !columns.some(({ structs }) => structs.includes(next))) return fields
  return [...fields, fieldOf(next.path.at(-1) ?? '', struct(...fieldsIn(columns, next)))]
}

export function randomTable(pick: Pick): ModelTable {
  const columns = Array.from({ length: pick([2, 3, 5]) }, (_, index) =>
    randomColumn(index, index < 2 && pick([true, false]), pick),
  )
  const columnMapping = pick(['none', 'name', 'id'] as const)
  const table = predicateTable({ fields: fieldsIn(columns, undefined), columnMapping })
  const partitionColumns = columns.filter(({ isPartition }) => isPartition).map(({ name }) => name)
  return {
    columns,
    structs: [outer, inner].filter((one) => columns.some(({ structs }) => structs.includes(one))),
    table: { ...table, partitionColumns },
  }
}

function randomValue({ type }: ModelColumn, pick: Pick): ModelValue {
  return pick([true, true, true, false]) ? pick(type.pool) : null
}

function randomRow({ columns, structs }: ModelTable, fixed: Row, pick: Pick): Row {
  const row = new Map<ModelStruct, ModelValue>(fixed)
  for (const one of structs) {
    const isAbsent = one === inner && row.get(outer) === null
    row.set(one, isAbsent || pick([true, false, false, false]) ? null : true)
  }
  for (const column of columns) {
    if (column.isPartition) continue
    const isAbsent = column.structs.some((one) => row.get(one) === null)
    row.set(column, isAbsent ? null : randomValue(column, pick))
  }
  return row
}

/** Puts a JSON text at a path of names. */
type Tree = Map<string, Tree | string>

function put(tree: Tree, path: readonly string[], text: string): void {
  const [name = '', ...rest] = path
  if (rest.length === 0) {
    tree.set(name, text)
    return
  }
  const below = tree.get(name)
  const next: Tree = below instanceof Map ? below : new Map()
  tree.set(name, next)
  put(next, rest, text)
}

function textOf(tree: Tree | string): string {
  if (typeof tree === 'string') return tree
  return `{${[...tree].map(([name, value]) => `${JSON.stringify(name)}:${textOf(value)}`).join(',')}}`
}

/** Writers differ in whether NaN is the greatest value or no value. */
function boundsOf({ type }: ModelColumn, values: readonly ModelValue[], pick: Pick) {
  const isNaNLeftOut = pick([true, false])
  const sorted = values
    .filter((value) => value !== null && !(isNaNLeftOut && Number.isNaN(value)))
    .sort(type.compare)
  const [least, greatest] = [sorted[0], sorted.at(-1)]
  return {
    least: least === undefined ? undefined : type.bound(least, 'least', pick),
    greatest: greatest === undefined ? undefined : type.bound(greatest, 'greatest', pick),
  }
}

interface Contents {
  /** The rows that readers see. */
  rows: readonly Row[]
  /** Rows that a deletion vector hides. */
  hidden: readonly Row[]
}

/** Statistics are of what readers see, or, with wide bounds, still of all that is stored. */
function statisticsOf(model: ModelTable, { rows, hidden }: Contents, pick: Pick): string {
  const isWide = hidden.length > 0 && pick([true, false])
  const seen = isWide ? [...rows, ...hidden] : rows
  const tree: Tree = new Map()
  const rarely = () => pick([false, false, false, false, false, true])
  if (!rarely()) tree.set('numRecords', `${rows.length + hidden.length}`)
  if (isWide || pick([true, false])) tree.set('tightBounds', `${!isWide}`)
  for (const column of model.columns.filter(({ isPartition }) => !isPartition)) {
    const isMapped = model.table.columnMapping !== 'none'
    const path = isMapped ? column.path.map(physical) : column.path
    const values = seen.map((row) => row.get(column))
    const nullCount = values.filter((value) => value === null).length
    const { least, greatest } = boundsOf(column, values, pick)
    if (!rarely()) put(tree, ['nullCount', ...path], `${nullCount}`)
    if (least !== undefined && !rarely()) put(tree, ['minValues', ...path], least)
    if (greatest !== undefined && !rarely()) put(tree, ['maxValues', ...path], greatest)
  }
  return textOf(tree)
}

function partitionText(column: ModelColumn, row: Row, pick: Pick): string | null {
  const value = row.get(column)
  return value === null ? pick([null, '']) : column.type.partition(value, pick)
}

export interface ModelFile extends FileFacts {
  rows: readonly Row[]
}

export function randomFile(model: ModelTable, pick: Pick): ModelFile {
  const partitions = model.columns.filter(({ isPartition }) => isPartition)
  const fixed: Row = new Map(partitions.map((column) => [column, randomValue(column, pick)]))
  const rowsOf = (count: number) =>
    Array.from({ length: count }, () => randomRow(model, fixed, pick))
  const rows = rowsOf(pick([1, 2, 4]))
  const hidden = rowsOf(pick([0, 0, 2]))
  const isMapped = model.table.columnMapping !== 'none'
  const values = partitions.map((column) => [
    isMapped ? physical(column.name) : column.name,
    partitionText(column, fixed, pick),
  ])
  const stats = statisticsOf(model, { rows, hidden }, pick)
  const cut = stats.slice(0, stats.length / 2)
  return {
    rows,
    partitionValues: Object.fromEntries(values),
    stats: pick([stats, stats, stats, stats, stats, stats, null, cut]),
  }
}
