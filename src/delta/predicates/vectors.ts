/**
 * What is known of one column in many files, laid out so that a million files are tested in milliseconds.
 * Nothing is lost: a vector gives back the possibilities that each file was entered with.
 */
import { bytesOfEnds, type Ends, endAt, joinArrays, joinEnds, packEnds } from './ends.ts'
import { onlyNaN, onlyNull, type Possibility, type Range, type Value } from './possibilities.ts'

/** What a column may hold in a file, one bit each. `open` is of the range. */
export const flag = { null: 1, nan: 2, value: 4, open: 8 } as const

/** Of a column in the data: what `statisticsPossibilities` tells of each file. */
export interface StatisticsVector {
  kind: 'statistics'
  flags: Uint8Array
  low: Ends
  high: Ends
  /** What the column may hold in any of the files. */
  summary: readonly Possibility[]
}

/** The distinct values of a partition column. Code 0 is a value that is absent, code 1 is null. */
export interface PartitionDictionary {
  texts: (string | null | undefined)[]
  codes: Map<string | null | undefined, number>
}

/** Of a partition column: the code of each file's value. */
export interface PartitionVector {
  kind: 'partition'
  codes: Uint32Array
  dictionary: PartitionDictionary
}

export type ColumnVector = StatisticsVector | PartitionVector

export function createDictionary(): PartitionDictionary {
  return {
    texts: [undefined, null],
    codes: new Map([
      [undefined, 0],
      [null, 1],
    ]),
  }
}

/** The code of a value, a new one for a new value. */
export function codeOf({ texts, codes }: PartitionDictionary, text: string | null | undefined) {
  const known = codes.get(text)
  if (known !== undefined) return known
  codes.set(text, texts.length)
  return texts.push(text) - 1
}

/** Files being entered into a vector of statistics. */
export interface StatisticsEntry {
  flags: number[]
  low: (Value | undefined)[]
  high: (Value | undefined)[]
}

export function beginStatistics(): StatisticsEntry {
  return { flags: [], low: [], high: [] }
}

/** Enters the next file. There may be one range. */
export function enterPossibilities(entry: StatisticsEntry, possibilities: readonly Possibility[]) {
  let flags = 0
  let range: Range | undefined
  for (const one of possibilities) {
    flags |= one.kind === 'range' ? flag.value : flag[one.kind]
    if (one.kind === 'range') range = one
  }
  entry.flags.push(range?.isOpen ? flags | flag.open : flags)
  entry.low.push(range?.low)
  entry.high.push(range?.high)
}

/** A range around all ranges; an end that is not known in one is not known in all. */
function around(low: Ends, high: Ends, flags: Uint8Array): Range {
  const all: Range = { kind: 'range', low: undefined, high: undefined, isOpen: false }
  let isFirst = true
  for (let at = 0; at < flags.length; at++) {
    if (((flags[at] ?? 0) & flag.value) === 0) continue
    const [from, to] = [endAt(low, at), endAt(high, at)]
    if (isFirst || from === undefined || (all.low !== undefined && from < all.low)) all.low = from
    if (isFirst || to === undefined || (all.high !== undefined && to > all.high)) all.high = to
    isFirst = false
  }
  return all
}

function summaryOf(flags: Uint8Array, low: Ends, high: Ends): Possibility[] {
  const bits = flags.reduce((all, one) => all | one, 0)
  return [
    ...((bits & flag.null) !== 0 ? onlyNull : []),
    ...((bits & flag.nan) !== 0 ? onlyNaN : []),
    ...((bits & flag.value) !== 0 ? [around(low, high, flags)] : []),
  ]
}

function statisticsVector(flags: Uint8Array, low: Ends, high: Ends): StatisticsVector {
  return { kind: 'statistics', flags, low, high, summary: summaryOf(flags, low, high) }
}

export function packStatistics({ flags, low, high }: StatisticsEntry): StatisticsVector {
  return statisticsVector(Uint8Array.from(flags), packEnds(low), packEnds(high))
}

/** One vector of the files of two; partitions must share their dictionary. */
export function joinVectors(first: ColumnVector, second: ColumnVector): ColumnVector {
  if (first.kind === 'partition' && second.kind === 'partition') {
    return { ...first, codes: joinArrays(first.codes, second.codes) }
  }
  if (first.kind === 'partition' || second.kind === 'partition') {
    throw new Error('vectors of different columns cannot be joined')
  }
  return statisticsVector(
    joinArrays(first.flags, second.flags),
    joinEnds(first.low, second.low),
    joinEnds(first.high, second.high),
  )
}

/** About how much memory a vector takes, without its dictionary. */
export function bytesOfVector(vector: ColumnVector): number {
  if (vector.kind === 'partition') return vector.codes.byteLength
  return vector.flags.byteLength + bytesOfEnds(vector.low) + bytesOfEnds(vector.high)
}

/** What V8 takes for a short string and its place in a map. */
const boxedBytes = 64

/** About how much memory a value takes that is new to a dictionary. */
export function bytesOfEntry(text: string | null | undefined): number {
  return 2 * (boxedBytes + (text?.length ?? 0))
}
