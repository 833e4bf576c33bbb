import type { PredicateColumn } from '../delta/predicates/columns.ts'
import { joinArrays } from '../delta/predicates/ends.ts'
import { beginVectors, type EnteredColumn } from '../delta/predicates/vector-entries.ts'
import {
  bytesOfVector,
  type ColumnVector,
  createDictionary,
  joinVectors,
} from '../delta/predicates/vectors.ts'
import type { Life, LifeEnd } from './queries.ts'

/** Some files of a table, in the order of their places, by what a scan needs to know of them. */
export interface FileChunk {
  count: number
  addedVersion: Float64Array
  addedPosition: Int32Array
  /** Infinity while nothing has removed the file. */
  removedVersion: Float64Array
  /** In the order of the columns of the set. */
  vectors: readonly ColumnVector[]
  bytes: number
}

/**
 * All files of a table that were live at `base` or added since, up to `version`, with the vectors of some columns:
 * enough to scan every version from `base` to `version`. Only the ends of lives are ever noted in it, those of
 * later versions.
 */
export interface FileSet {
  base: number
  version: number
  columns: readonly EnteredColumn[]
  chunks: readonly FileChunk[]
  /** Files in all chunks. */
  count: number
  /** About how much memory it takes. */
  bytes: number
}

/** Files in a chunk at most; a chunk is what is tested without a pause. */
export const chunkFilesMax = 8192

function isSameColumn(a: PredicateColumn, b: PredicateColumn): boolean {
  // Partition values are kept as their texts, whatever their type.
  const isSameType = a.isPartition || a.valueType === b.valueType
  const [path, other] = [a.physicalPath, b.physicalPath]
  return (
    a.isPartition === b.isPartition &&
    isSameType &&
    path.length === other.length &&
    path.every((name, index) => name === other[index])
  )
}

/** Where the vectors of a column stand in a set; -1 when it has none. */
export function placeOfColumn({ columns }: FileSet, wanted: PredicateColumn): number {
  return columns.findIndex(({ column }) => isSameColumn(column, wanted))
}

/** Columns to be entered, each once; new dictionaries for all of them. */
export function enteredColumns(columns: readonly PredicateColumn[]): EnteredColumn[] {
  return columns
    .filter((column, index) => columns.findIndex((one) => isSameColumn(one, column)) === index)
    .map((column) => ({
      column,
      dictionary: column.isPartition ? createDictionary() : undefined,
    }))
}

/** Lives of files as they are put into chunks. */
export interface ChunkCollector {
  add: (life: Life) => void
  /** The chunks, the last one as full as it is. */
  finish: () => { chunks: FileChunk[]; dictionaryBytes: number }
}

/** Collects lives in the order of their places; `onChunk` is told the bytes of each chunk that is full. */
export function collectChunks(
  columns: readonly EnteredColumn[],
  onChunk: (bytes: number) => void,
): ChunkCollector {
  const vectors = beginVectors(columns)
  const chunks: FileChunk[] = []
  let lives: Omit<Life, 'add'>[] = []
  let toldBytes = 0
  const seal = () => {
    const packed = vectors.pack()
    const own = {
      count: lives.length,
      addedVersion: Float64Array.from(lives, (life) => life.addedVersion),
      addedPosition: Int32Array.from(lives, (life) => life.addedPosition),
      removedVersion: Float64Array.from(lives, (life) => life.removedVersion ?? Infinity),
      vectors: packed,
    }
    const chunk = { ...own, bytes: bytesOf(own) }
    chunks.push(chunk)
    lives = []
    onChunk(chunk.bytes + vectors.dictionaryBytes() - toldBytes)
    toldBytes = vectors.dictionaryBytes()
  }
  return {
    add: ({ add, addedVersion, addedPosition, removedVersion }) => {
      vectors.enter(JSON.parse(add).add)
      lives.push({ addedVersion, addedPosition, removedVersion })
      if (lives.length === chunkFilesMax) seal()
    },
    finish: () => {
      if (lives.length > 0) seal()
      return { chunks, dictionaryBytes: vectors.dictionaryBytes() }
    },
  }
}

const placeBytes = 20

function bytesOf({ count, vectors }: Pick<FileChunk, 'count' | 'vectors'>): number {
  return vectors.reduce((sum, vector) => sum + bytesOfVector(vector), count * placeBytes)
}

function join(first: FileChunk, second: FileChunk): FileChunk {
  return {
    count: first.count + second.count,
    addedVersion: joinArrays(first.addedVersion, second.addedVersion),
    addedPosition: joinArrays(first.addedPosition, second.addedPosition),
    removedVersion: joinArrays(first.removedVersion, second.removedVersion),
    vectors: first.vectors.flatMap((vector, index) => {
      const other = second.vectors[index]
      return other === undefined ? [] : joinVectors(vector, other)
    }),
    bytes: first.bytes + second.bytes,
  }
}

/** The set with chunks behind its own, up to `version`; the lives in them come after all others. */
export function appendChunks(
  set: FileSet,
  { chunks, dictionaryBytes }: ReturnType<ChunkCollector['finish']>,
  version: number,
): FileSet {
  const [last, first] = [set.chunks.at(-1), chunks[0]]
  const fits =
    last !== undefined && first !== undefined && last.count + first.count <= chunkFilesMax
  const all = fits
    ? [...set.chunks.slice(0, -1), join(last, first), ...chunks.slice(1)]
    : [...set.chunks, ...chunks]
  const added = chunks.reduce((sum, chunk) => sum + chunk.count, 0)
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes, dictionaryBytes)
  return { ...set, version, chunks: all, count: set.count + added, bytes: set.bytes + bytes }
}

/** The last of `count` places that `isAtMost` holds for, which holds for all before it; -1 when there is none. */
function lastWhere(count: number, isAtMost: (at: number) => boolean): number {
  let [from, to] = [0, count]
  while (from < to) {
    const middle = (from + to) >>> 1
    if (isAtMost(middle)) from = middle + 1
    else to = middle
  }
  return from - 1
}

/** Whether the file at a place of a chunk stands at, or before, a place in the log. */
export function isAtOrBefore(
  { addedVersion, addedPosition }: FileChunk,
  at: number,
  place: { addedVersion: number; addedPosition: number },
): boolean {
  const version = addedVersion[at] ?? 0
  return version === place.addedVersion
    ? (addedPosition[at] ?? 0) <= place.addedPosition
    : version < place.addedVersion
}

/** Notes the ends of lives; those of files that the set does not have are passed over. */
export function noteEnds({ chunks }: FileSet, ends: readonly LifeEnd[]): void {
  for (const end of ends) {
    const chunk = chunks[lastWhere(chunks.length, (one) => isChunkBefore(chunks[one], end))]
    if (chunk === undefined) continue
    const at = lastWhere(chunk.count, (one) => isAtOrBefore(chunk, one, end))
    const isSame =
      chunk.addedVersion[at] === end.addedVersion && chunk.addedPosition[at] === end.addedPosition
    if (isSame) chunk.removedVersion[at] = end.removedVersion
  }
}

function isChunkBefore(chunk: FileChunk | undefined, end: LifeEnd): boolean {
  return chunk !== undefined && isAtOrBefore(chunk, 0, end)
}
