import type { StructField, StructType } from '../../../src/delta/data-types.ts'
import type { PredicateTable } from '../../../src/delta/predicates/columns.ts'
import type { FileFacts } from '../../../src/delta/predicates/file-values.ts'
import type { PredicateNode, PredicateOp } from '../../../src/delta/predicates/shape.ts'
import { type Predicate, parsePredicate } from '../../../src/delta/predicates.ts'
import { column as field } from '../support.ts'

export function column(name: string, valueType?: string): PredicateNode {
  return { op: 'column', name, ...(valueType === undefined ? {} : { valueType }) }
}

export function literal(value: string | number | boolean, valueType: string): PredicateNode {
  return { op: 'literal', value, valueType }
}

export function node(op: PredicateOp, ...children: PredicateNode[]): PredicateNode {
  return { op, children }
}

export function not(child: PredicateNode): PredicateNode {
  return node('not', child)
}

export function struct(...fields: StructField[]): StructType {
  return { type: 'struct', fields }
}

interface TableOptions extends Partial<PredicateTable> {
  partitions?: StructField[]
  fields?: StructField[]
}

/** A table without column mapping, unless another mode is given. */
export function predicateTable(options: TableOptions): PredicateTable {
  const { partitions = [], fields = [], columnMapping = 'none' } = options
  return {
    schema: struct(...partitions, ...fields),
    partitionColumns: partitions.map(({ name }) => name),
    columnMapping,
  }
}

/** The predicate, which must have no faults. */
export function parsed(given: PredicateNode, table: PredicateTable): Predicate {
  const { predicate, faults } = parsePredicate(given, table)
  if (!predicate) throw new Error(JSON.stringify(faults))
  return predicate
}

/** A predicate on a table whose only partition column is `p` of this type. */
export function onPartition(type: string, given: PredicateNode, metadata = {}): Predicate {
  return parsed(given, predicateTable({ partitions: [field('p', type, metadata)] }))
}

/** A predicate on a table whose only column is `c` of this type. */
export function onData(type: string, given: PredicateNode, metadata = {}): Predicate {
  return parsed(given, predicateTable({ fields: [field('c', type, metadata)] }))
}

/** Statistics of column `c` whose values are given as JSON texts. */
export function bounds(min: string, max: string, nullCount = 0, numRecords = 10): string {
  const [least, greatest] = [`{"c":${min}}`, `{"c":${max}}`]
  return `{"numRecords":${numRecords},"minValues":${least},"maxValues":${greatest},"nullCount":{"c":${nullCount}}}`
}

/** Whether a file with these statistics, and no partition values, is kept. */
export function keeps(predicate: Predicate, stats: FileFacts['stats']): boolean {
  return predicate.couldMatch({ partitionValues: {}, stats })
}
