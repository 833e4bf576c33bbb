import type { Metadata } from '../delta/actions.ts'
import { columnMappingMode } from '../delta/column-mapping.ts'
import { type Fault, faultsBelow } from '../delta/faults.ts'
import { columnFinder, type PredicateTable } from '../delta/predicates/columns.ts'
import { type Predicate, parsePredicate } from '../delta/predicates.ts'
import { schemaOf } from '../delta/table-state.ts'
import { statisticsTrimmer } from '../delta/trim-statistics.ts'

/** A scan as it is to be done: what selects files, and what is made of the add of each. */
export interface ReadScan {
  predicate: Predicate | undefined
  trim: ((line: string) => string) | undefined
}

/**
 * Reads a scan against the metadata of the version to be scanned; or says what is wrong with it, pointers beginning
 * at the scan. Where the schema cannot be read nothing can be told of columns, and the scan is of all files.
 */
export function readScan(
  scan: { predicate?: unknown; columns?: readonly string[] | undefined },
  metadata: Metadata,
): { read: ReadScan; faults?: undefined } | { read?: undefined; faults: Fault[] } {
  const schema = schemaOf(metadata)
  if (schema === undefined) return { read: { predicate: undefined, trim: undefined } }
  const { partitionColumns, configuration } = metadata
  const table = { schema, partitionColumns, columnMapping: columnMappingMode(configuration) }
  const result = scan.predicate === undefined ? undefined : parsePredicate(scan.predicate, table)
  const { trim, faults } = readColumns(scan.columns, table)
  const all = [...faultsBelow('/predicate', result?.faults ?? []), ...faults]
  return all.length > 0 ? { faults: all } : { read: { predicate: result?.predicate, trim } }
}

function readColumns(names: readonly string[] | undefined, table: PredicateTable) {
  if (names === undefined) return { trim: undefined, faults: [] }
  const findColumn = columnFinder(table)
  const found = names.map((name) => findColumn(name))
  const faults = found.flatMap((column, index) =>
    typeof column === 'string' ? [{ pointer: `/columns/${index}`, message: column }] : [],
  )
  const columns = found.filter((column) => typeof column !== 'string')
  return { trim: statisticsTrimmer(columns), faults }
}
