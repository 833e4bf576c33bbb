/** Tests the files of vectors against a condition, each exactly as `mayBeTrue` would. */
import type { PredicateColumn } from './columns.ts'
import { type ColumnTest, type Condition, mayBeTrue } from './conditions.ts'
import { type Ends, endAt } from './ends.ts'
import type { ReadPartition } from './file-values.ts'
import { onlyNaN, onlyNull, type Possibility, type Range, type Value } from './possibilities.ts'
import { type ColumnVector, flag, type PartitionVector, type StatisticsVector } from './vectors.ts'

/** Some files, by what is known of the columns of a predicate. */
export interface FileVectors {
  count: number
  vectorOf: (column: PredicateColumn) => ColumnVector
}

/** How the files of one predicate are tested, chunk after chunk. */
export interface VectorReader {
  readPartition: ReadPartition
  /** Whether a condition may hold, by the code of the value. */
  partitionVerdicts: Map<Condition, boolean[]>
  /** False while statistics are left out of the question. */
  usesStatistics: boolean
}

type Mask = Uint8Array
type ColumnCondition = Extract<Condition, { kind: 'column' }>
type PairCondition = Extract<Condition, { kind: 'pair' }>

/** What lies wholly below `from` or above `to` passes no test; undefined where there is no such end. */
interface Window {
  from: Value | undefined
  to: Value | undefined
}

function pointsOf({ literals }: ColumnTest): (Value | undefined)[] {
  return literals.flatMap(({ value }) => (value.kind === 'range' ? [value.low] : []))
}

function least(values: readonly (Value | undefined)[]): Value | undefined {
  return values.reduce((a, b) => (a === undefined || b === undefined || a < b ? a : b), values[0])
}

function greatest(values: readonly (Value | undefined)[]): Value | undefined {
  return values.reduce((a, b) => (a === undefined || b === undefined || a > b ? a : b), values[0])
}

/** A window that every range must touch to pass a test. */
function windowOf(test: ColumnTest): Window {
  const points = pointsOf(test)
  switch (test.op) {
    case 'equal':
    case 'in':
      return { from: least(points), to: greatest(points) }
    case 'lessThan':
    case 'lessThanOrEqual':
      return { from: undefined, to: points[0] }
    case 'greaterThan':
    case 'greaterThanOrEqual':
      return { from: points[0], to: undefined }
    default:
      return { from: undefined, to: undefined }
  }
}

function passesAll(tests: readonly ColumnTest[], possibility: Possibility): boolean {
  return tests.every((test) => test.mayHold(possibility))
}

/** A range that is filled anew for each file, for a million objects take their time. */
function rangeAt(range: Range, { flags, low, high }: StatisticsVector, at: number): Range {
  range.low = endAt(low, at)
  range.high = endAt(high, at)
  range.isOpen = ((flags[at] ?? 0) & flag.open) !== 0
  return range
}

/** The window of all tests; a range that lies beside it fails one of them. */
function windowOfAll(tests: readonly ColumnTest[]): Window {
  const windows = tests.map(windowOf)
  return {
    from: windows.find(({ from }) => from !== undefined)?.from,
    to: windows.find(({ to }) => to !== undefined)?.to,
  }
}

/** The end at a place; of numbers, which are most of all, as it stands. */
function rawEnd(ends: Ends, at: number): Value | undefined {
  return ends instanceof Float64Array ? ends[at] : endAt(ends, at)
}

function testStatistics({ tests }: ColumnCondition, vector: StatisticsVector): Mask {
  const { flags, low, high } = vector
  const mask = new Uint8Array(flags.length)
  if (!vector.summary.some((one) => passesAll(tests, one))) return mask
  const always =
    (passesAll(tests, { kind: 'null' }) ? flag.null : 0) |
    (passesAll(tests, { kind: 'nan' }) ? flag.nan : 0)
  const { from, to } = windowOfAll(tests)
  // An end that is not known is NaN or undefined, which is neither less nor greater than anything.
  const isBeside = (at: number) =>
    (from !== undefined && (rawEnd(high, at) as Value) < from) ||
    (to !== undefined && (rawEnd(low, at) as Value) > to)
  const range: Range = { kind: 'range', low: undefined, high: undefined, isOpen: false }
  for (let at = 0; at < mask.length; at++) {
    const bits = flags[at] ?? 0
    if ((bits & always) !== 0) mask[at] = 1
    else if ((bits & flag.value) !== 0 && !isBeside(at)) {
      mask[at] = passesAll(tests, rangeAt(range, vector, at)) ? 1 : 0
    }
  }
  return mask
}

function testPartitions(
  { column, tests }: ColumnCondition,
  { codes, dictionary }: PartitionVector,
  { readPartition, verdicts }: { readPartition: ReadPartition; verdicts: boolean[] },
): Mask {
  const mask = new Uint8Array(codes.length)
  for (let at = 0; at < mask.length; at++) {
    const code = codes[at] ?? 0
    verdicts[code] ??= readText(column, dictionary.texts[code], readPartition).some((one) =>
      passesAll(tests, one),
    )
    if (verdicts[code]) mask[at] = 1
  }
  return mask
}

function readText(column: PredicateColumn, text: string | null | undefined, read: ReadPartition) {
  const [name = ''] = column.physicalPath
  return read(column, text === undefined ? {} : { [name]: text })
}

function possibilitiesAt(vector: StatisticsVector, at: number): readonly Possibility[] {
  const bits = vector.flags[at] ?? 0
  const range: Range = { kind: 'range', low: undefined, high: undefined, isOpen: false }
  return [
    ...((bits & flag.null) !== 0 ? onlyNull : []),
    ...((bits & flag.nan) !== 0 ? onlyNaN : []),
    ...((bits & flag.value) !== 0 ? [rangeAt(range, vector, at)] : []),
  ]
}

function testPair(condition: PairCondition, files: FileVectors, reader: VectorReader): Mask {
  const { readPartition, usesStatistics } = reader
  const mask = new Uint8Array(files.count)
  for (let at = 0; at < mask.length; at++) {
    const mayHold = mayBeTrue(condition, (column) => {
      if (!column.isPartition && !usesStatistics) return undefined
      const vector = files.vectorOf(column)
      return vector.kind === 'statistics'
        ? possibilitiesAt(vector, at)
        : readText(column, vector.dictionary.texts[vector.codes[at] ?? 0], readPartition)
    })
    if (mayHold) mask[at] = 1
  }
  return mask
}

function testColumn(condition: ColumnCondition, files: FileVectors, reader: VectorReader): Mask {
  const vector = files.vectorOf(condition.column)
  if (vector.kind === 'statistics') return testStatistics(condition, vector)
  const { readPartition, partitionVerdicts } = reader
  const verdicts = partitionVerdicts.get(condition) ?? []
  partitionVerdicts.set(condition, verdicts)
  return testPartitions(condition, vector, { readPartition, verdicts })
}

function combine(
  conditions: readonly Condition[],
  files: FileVectors,
  { reader, isAll }: { reader: VectorReader; isAll: boolean },
): Mask {
  const mask = new Uint8Array(files.count).fill(isAll ? 1 : 0)
  for (const condition of conditions) {
    if (!mask.includes(isAll ? 1 : 0)) return mask
    const one = testVectors(condition, files, reader)
    for (let at = 0; at < mask.length; at++) {
      const bit = one[at] ?? 0
      mask[at] = isAll ? (mask[at] ?? 0) & bit : (mask[at] ?? 0) | bit
    }
  }
  return mask
}

/** For each file 1 where the condition may be true of some row of it, else 0. */
export function testVectors(
  condition: Condition,
  files: FileVectors,
  reader: VectorReader,
): Uint8Array {
  switch (condition.kind) {
    case 'constant':
      return new Uint8Array(files.count).fill(condition.isTrue ? 1 : 0)
    case 'all':
    case 'any':
      return combine(condition.conditions, files, { reader, isAll: condition.kind === 'all' })
    case 'pair':
      return testPair(condition, files, reader)
    case 'column':
      return condition.column.isPartition || reader.usesStatistics
        ? testColumn(condition, files, reader)
        : new Uint8Array(files.count).fill(1)
  }
}
