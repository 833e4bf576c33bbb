/**
 * Predicates on rows, tested against what is known of a file before it is read: its partition values and its
 * statistics (PROTOCOL.md, "Partition Value Serialization" and "Per-file Statistics").
 *
 * A file is dropped only when no row of it can satisfy the predicate; where partition values or statistics
 * do not say, are unreadable, or are read differently by different readers, it is kept.
 */
import type { Fault } from './faults.ts'
import { boundsOf, type ColumnBound } from './predicates/bounds.ts'
import { columnFinder, type PredicateColumn, type PredicateTable } from './predicates/columns.ts'
import { type Condition, mayBeTrue, needsStatistics } from './predicates/conditions.ts'
import {
  type FileFacts,
  partitionReader,
  readStatistics,
  statisticsPossibilities,
} from './predicates/file-values.ts'
import type { PredicateReader } from './predicates/nodes.ts'
import { readPredicate } from './predicates/parse.ts'
import { type FileVectors, testVectors } from './predicates/vector-tests.ts'

/** Whether a file is to be read, and if not, what tells so. */
export type FileVerdict =
  | { kept: true; prunedBy?: undefined }
  | { kept: false; prunedBy: 'partitions' | 'statistics' }

/** Of each file: kept or not, and 1 where its partition values let it through. */
export interface VectorVerdicts {
  kept: Uint8Array
  inPartitions: Uint8Array
}

export interface Predicate {
  /** Tests a file; its statistics are parsed at most once, and not where partition values decide. */
  test: (file: FileFacts) => FileVerdict
  /** Tests all files of vectors, each as `test` does; the verdicts in their order. */
  testVectors: (files: FileVectors) => VectorVerdicts
  /** Whether some row of a file can satisfy the predicate. */
  couldMatch: (file: FileFacts) => boolean
  /** The columns that it names, by where their values are to be found. */
  partitionColumns: readonly PredicateColumn[]
  statisticsColumns: readonly PredicateColumn[]
  /**
   * Tests that every satisfying row passes, together. A database may use those on partition columns to leave
   * files out, where it lets through what this service cannot be sure of: values that are missing or cannot
   * be read as the column's type, and timestamps without a zone.
   */
  bounds: readonly ColumnBound[]
}

/** The predicate; or everything that is wrong with it, up to 100 faults. */
export type PredicateResult =
  | { predicate: Predicate; faults?: undefined }
  | { predicate?: undefined; faults: Fault[] }

const kept: FileVerdict = { kept: true }
const prunedByPartitions: FileVerdict = { kept: false, prunedBy: 'partitions' }
const prunedByStatistics: FileVerdict = { kept: false, prunedBy: 'statistics' }

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

function compile(condition: Condition, columns: readonly PredicateColumn[]): Predicate {
  const readPartition = partitionReader()
  const usesStatistics = needsStatistics(condition)
  const testPartitions = ({ partitionValues }: FileFacts): boolean =>
    mayBeTrue(condition, (column) =>
      column.isPartition ? readPartition(column, partitionValues) : undefined,
    )
  const testStatistics = (file: FileFacts): boolean => {
    const statistics = once(() => readStatistics(file.stats))
    return mayBeTrue(condition, (column) =>
      column.isPartition
        ? readPartition(column, file.partitionValues)
        : statisticsPossibilities(column, statistics()),
    )
  }
  const test = (file: FileFacts): FileVerdict => {
    if (!testPartitions(file)) return prunedByPartitions
    return usesStatistics && !testStatistics(file) ? prunedByStatistics : kept
  }
  const partitionVerdicts = new Map<Condition, boolean[]>()
  const testFiles = (files: FileVectors): VectorVerdicts => {
    const reader = { readPartition, partitionVerdicts }
    const inPartitions = testVectors(condition, files, { ...reader, usesStatistics: false })
    const kept = usesStatistics
      ? testVectors(condition, files, { ...reader, usesStatistics: true })
      : inPartitions
    return { kept, inPartitions }
  }
  return {
    test,
    testVectors: testFiles,
    couldMatch: (file) => test(file).kept,
    partitionColumns: columns.filter((column) => column.isPartition),
    statisticsColumns: columns.filter((column) => !column.isPartition),
    bounds: boundsOf(condition),
  }
}

/** Reads a predicate, `node` being its JSON form, against a table. */
export function parsePredicate(node: unknown, table: PredicateTable): PredicateResult {
  const reader: PredicateReader = {
    findColumn: columnFinder(table),
    faults: [],
    columns: new Set(),
    nodeCount: 0,
  }
  const condition = readPredicate(reader, node, { pointer: '', depth: 1, isNegated: false })
  return reader.faults.length > 0
    ? { faults: reader.faults }
    : { predicate: compile(condition, [...reader.columns]) }
}
