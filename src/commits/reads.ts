import { columnMappingMode } from '../delta/column-mapping.ts'
import { noReads, type Reads } from '../delta/conflicts/reads.ts'
import { type Fault, faultsBelow } from '../delta/faults.ts'
import { parsePath } from '../delta/paths.ts'
import type { PredicateNode } from '../delta/predicates/shape.ts'
import { type Predicate, parsePredicate } from '../delta/predicates.ts'
import { schemaOf } from '../delta/table-state.ts'
import type { Head } from './rows.ts'

/** What a writer says that it has read, as it says it. */
export interface DeclaredReads {
  wholeTable?: boolean | undefined
  predicates?: readonly PredicateNode[] | undefined
  files?: readonly string[] | undefined
  appIds?: readonly string[] | undefined
  domains?: readonly string[] | undefined
}

/** The reads as conflicts are judged by them; predicates are of the table's columns. Or what is wrong with them. */
export function resolveReads(
  declared: DeclaredReads | undefined,
  head: Pick<Head, 'metadata'>,
): { reads: Reads; faults?: undefined } | { reads?: undefined; faults: Fault[] } {
  if (declared === undefined) return { reads: noReads }
  const { faults, predicates } = resolvePredicates(declared.predicates ?? [], head)
  const files = new Set<string>()
  for (const [index, path] of (declared.files ?? []).entries()) {
    const { key, fault } = parsePath(path)
    if (fault === undefined) files.add(key)
    else faults.push({ pointer: `/files/${index}`, message: fault.message })
  }
  if (faults.length > 0) return { faults: faultsBelow('/reads', faults) }
  return {
    reads: {
      wholeTable: declared.wholeTable ?? false,
      predicates: predicates.map((predicate) => predicate.couldMatch),
      files,
      appIds: new Set(declared.appIds),
      domains: new Set(declared.domains),
    },
  }
}

function resolvePredicates(nodes: readonly PredicateNode[], { metadata }: Pick<Head, 'metadata'>) {
  const schema = schemaOf(metadata)
  const faults: Fault[] = []
  const predicates: Predicate[] = []
  for (const [index, node] of nodes.entries()) {
    if (schema === undefined) break
    const result = parsePredicate(node, {
      schema,
      partitionColumns: metadata.partitionColumns,
      columnMapping: columnMappingMode(metadata.configuration),
    })
    if (result.predicate !== undefined) predicates.push(result.predicate)
    else faults.push(...faultsBelow(`/predicates/${index}`, result.faults))
  }
  return { faults, predicates }
}
