import type { DeclaredReads } from '../../commits/reads.ts'
import type { Part } from '../../commits/unit.ts'
import type { StagedTableRow } from './table-queries.ts'

/** Predicates that are kept of one table; more count as a read of all of it. */
const predicatesMax = 100

/** Both reads as one. */
export function mergeReads(one: DeclaredReads, other: DeclaredReads): DeclaredReads {
  const predicates = distinct([...(one.predicates ?? []), ...(other.predicates ?? [])])
  const wholeTable =
    one.wholeTable === true || other.wholeTable === true || predicates.length > predicatesMax
  return {
    wholeTable,
    predicates: wholeTable ? [] : predicates,
    files: union(one.files, other.files),
    appIds: union(one.appIds, other.appIds),
    domains: union(one.domains, other.domains),
  }
}

function distinct<Value>(values: readonly Value[]): Value[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()]
}

function union(one: readonly string[] = [], other: readonly string[] = []): string[] {
  return [...new Set([...one, ...other])]
}

/** A part that is to be judged by what was read of its table through the transaction, besides what it declares. */
export function withReads(part: Part, { readVersion, reads }: StagedTableRow): Part {
  if (readVersion === null || reads === null) return part
  const { proposal } = part
  const read: DeclaredReads = JSON.parse(reads)
  return {
    ...part,
    proposal: {
      ...proposal,
      readVersion: Math.min(readVersion, proposal.readVersion ?? readVersion),
      reads: mergeReads(read, proposal.reads ?? {}),
      isolationLevel: 'Serializable',
      hasFixedPlace: true,
    },
  }
}

/** What is judged of a table that was only read. */
export function readingPart(row: StagedTableRow, place: number): Part {
  const proposal = { operation: 'READ', info: new Map(), actions: [] }
  return withReads({ table: row.tableId, onlyReads: true, place, proposal }, row)
}
