import { setImmediate } from 'node:timers/promises'
import type { Pool } from '../database/connect.ts'
import { copyOut, readRows } from '../database/copy-out.ts'
import type { FileVerdict, Predicate } from '../delta/predicates.ts'
import type { FilePlace } from '../snapshots/queries.ts'
import { type FileChunk, type FileSet, isAtOrBefore, placeOfColumn } from './file-set.ts'
import { livesSince } from './queries.ts'

/** What became of the live files of a version. */
export interface ScanCounts {
  numFiles: number
  numMatched: number
  prunedByPartition: number
  prunedByStatistics: number
}

/** What of a table is selected, and how much of that is asked for. */
export interface FileSelection {
  tableId: string
  version: number
  predicate: Predicate
  /** Without a place to go on from, all files are looked at and counted. */
  after: FilePlace | undefined
  /** Files to select at most. */
  limit: number
}

/** Places of the files selected, in their order; counts unless it went on from a place. */
export interface SelectedFiles {
  places: FilePlace[]
  counts: ScanCounts | undefined
}

/** Time after which others get their turn. */
const sliceMs = 8

class Tally {
  readonly places: FilePlace[] = []
  readonly counts = { numFiles: 0, numMatched: 0, prunedByPartition: 0, prunedByStatistics: 0 }
  readonly #selection: FileSelection

  constructor(selection: FileSelection) {
    this.#selection = selection
  }

  note(prunedBy: FileVerdict['prunedBy'], addedVersion: number, addedPosition: number): void {
    const { counts, places } = this
    counts.numFiles += 1
    if (prunedBy === 'partitions') counts.prunedByPartition += 1
    else if (prunedBy === 'statistics') counts.prunedByStatistics += 1
    else {
      counts.numMatched += 1
      if (!this.#isFull()) places.push({ addedVersion, addedPosition })
    }
  }

  /** Notes as many files that were all pruned by the same. */
  notePruned(by: NonNullable<FileVerdict['prunedBy']>, count: number): void {
    this.counts.numFiles += count
    this.counts[by === 'partitions' ? 'prunedByPartition' : 'prunedByStatistics'] += count
  }

  /** Whether nothing more is asked for. */
  isDone(): boolean {
    return this.#selection.after !== undefined && this.#isFull()
  }

  #isFull(): boolean {
    return this.places.length >= this.#selection.limit
  }

  result(): SelectedFiles {
    const { places, counts } = this
    return { places, counts: this.#selection.after === undefined ? counts : undefined }
  }
}

/** Selects from files that are kept in memory; gives others their turn again and again. */
export async function selectFromSet(
  set: FileSet,
  selection: FileSelection,
): Promise<SelectedFiles> {
  const { predicate, version, after } = selection
  const tally = new Tally(selection)
  const columns = [...predicate.partitionColumns, ...predicate.statisticsColumns]
  const places = new Map(columns.map((column) => [column, placeOfColumn(set, column)]))
  let began = performance.now()
  for (const chunk of set.chunks) {
    if ((chunk.addedVersion[0] ?? 0) > version || tally.isDone()) break
    if (after !== undefined && isAtOrBefore(chunk, chunk.count - 1, after)) continue
    testChunk(chunk, { selection, places, tally })
    if (performance.now() - began < sliceMs) continue
    await setImmediate()
    began = performance.now()
  }
  return tally.result()
}

interface ChunkTest {
  selection: FileSelection
  /** Where the vectors of each column stand. */
  places: ReadonlyMap<unknown, number>
  tally: Tally
}

function testChunk(chunk: FileChunk, { selection, places, tally }: ChunkTest): void {
  const { predicate, version, after } = selection
  const { kept, inPartitions } = predicate.testVectors({
    count: chunk.count,
    vectorOf: (column) => {
      const vector = chunk.vectors[places.get(column) ?? -1]
      if (vector === undefined) throw new Error(`no vector of column ${column.name}`)
      return vector
    },
  })
  const reason = reasonOfAll(kept, inPartitions)
  if (reason !== undefined) {
    tally.notePruned(reason, countLive(chunk, version))
    return
  }
  const { addedVersion, addedPosition, removedVersion } = chunk
  for (let at = 0; at < chunk.count; at++) {
    const added = addedVersion[at] ?? 0
    const isLive = added <= version && (removedVersion[at] ?? 0) > version
    if (!isLive || (after !== undefined && isAtOrBefore(chunk, at, after))) continue
    const prunedBy = kept[at] ? undefined : inPartitions[at] ? 'statistics' : 'partitions'
    tally.note(prunedBy, added, addedPosition[at] ?? 0)
  }
}

/** Why no file of a chunk is kept; undefined where one is, or where they differ in it. */
function reasonOfAll(kept: Uint8Array, inPartitions: Uint8Array): FileVerdict['prunedBy'] {
  if (kept.includes(1)) return undefined
  if (!inPartitions.includes(1)) return 'partitions'
  return inPartitions.includes(0) ? undefined : 'statistics'
}

function countLive({ addedVersion, removedVersion }: FileChunk, version: number): number {
  let count = 0
  for (let at = 0; at < addedVersion.length; at++) {
    if ((addedVersion[at] as number) <= version && (removedVersion[at] as number) > version) count++
  }
  return count
}

/** Selects from files that are read for it, and keeps nothing of them but places. */
export async function selectFromDatabase(
  copyPool: Pool,
  selection: FileSelection,
): Promise<SelectedFiles> {
  const { tableId, version, predicate, after } = selection
  const tally = new Tally(selection)
  const query = livesSince(tableId, { base: version, version, after })
  for await (const rows of readRows(await copyOut(copyPool, query))) {
    for (const [addedVersion, addedPosition, , add = ''] of rows) {
      const { prunedBy } = predicate.test(JSON.parse(add).add)
      tally.note(prunedBy, Number(addedVersion), Number(addedPosition))
    }
    if (tally.isDone()) break
    await setImmediate()
  }
  return tally.result()
}
