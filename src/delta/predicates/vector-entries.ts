/** Enters files into vectors, a chunk of them at a time. */
import type { PredicateColumn } from './columns.ts'
import {
  type FileFacts,
  readStatistics,
  type Statistics,
  statisticsPossibilities,
} from './file-values.ts'
import {
  beginStatistics,
  bytesOfEntry,
  type ColumnVector,
  codeOf,
  enterPossibilities,
  type PartitionDictionary,
  packStatistics,
} from './vectors.ts'

/** A column to be entered; a partition column with the dictionary of all its vectors. */
export interface EnteredColumn {
  column: PredicateColumn
  dictionary: PartitionDictionary | undefined
}

/** Vectors that are being filled. */
export interface VectorEntries {
  enter: (file: FileFacts) => void
  /** The vectors, in the order of the columns; the next file begins new ones. */
  pack: () => ColumnVector[]
  /** About how much memory dictionaries have grown by. */
  dictionaryBytes: () => number
}

interface ColumnEntry {
  enter: (partitionValues: FileFacts['partitionValues'], statistics: Statistics | undefined) => void
  pack: () => ColumnVector
  dictionaryBytes: () => number
}

function partitionEntry({ physicalPath }: PredicateColumn, dictionary: PartitionDictionary) {
  const [name = ''] = physicalPath
  let codes: number[] = []
  let bytes = 0
  const entry: ColumnEntry = {
    enter: (values) => {
      const text = Object.hasOwn(values, name) ? values[name] : undefined
      const known = dictionary.texts.length
      codes.push(codeOf(dictionary, text))
      if (dictionary.texts.length > known) bytes += bytesOfEntry(text)
    },
    pack: () => {
      const packed = Uint32Array.from(codes)
      codes = []
      return { kind: 'partition', codes: packed, dictionary }
    },
    dictionaryBytes: () => bytes,
  }
  return entry
}

function statisticsEntry(column: PredicateColumn): ColumnEntry {
  let entry = beginStatistics()
  return {
    enter: (_, statistics) =>
      enterPossibilities(entry, statisticsPossibilities(column, statistics)),
    pack: () => {
      const packed = packStatistics(entry)
      entry = beginStatistics()
      return packed
    },
    dictionaryBytes: () => 0,
  }
}

/** Begins vectors of these columns; statistics are parsed once for each file, and only where a column needs them. */
export function beginVectors(columns: readonly EnteredColumn[]): VectorEntries {
  const needsStatistics = columns.some(({ dictionary }) => dictionary === undefined)
  const entries = columns.map(({ column, dictionary }) =>
    dictionary ? partitionEntry(column, dictionary) : statisticsEntry(column),
  )
  return {
    enter: ({ partitionValues, stats }) => {
      const statistics = needsStatistics ? readStatistics(stats) : undefined
      for (const entry of entries) entry.enter(partitionValues, statistics)
    },
    pack: () => entries.map((entry) => entry.pack()),
    dictionaryBytes: () => entries.reduce((sum, entry) => sum + entry.dictionaryBytes(), 0),
  }
}
