import type { ReadRange } from './parquet-column.ts'

/** Bytes of a file from `start` up to before `end`. */
export interface Extent {
  start: number
  end: number
}

/** Bytes of a file that are held at most, and what is read at once. */
export interface ReadLimits {
  /** Of the end of the file, where its metadata is. */
  tailBytes: number
  /** Of column chunks that are read whole, with what lies between them. */
  heldBytes: number
  /** Of all chunks that are read in pieces, and of each, whatever their number. */
  aheadBytes: number
  pieceBytes: { min: number; max: number }
}

const mebibyte = 1024 * 1024

export const readLimits: ReadLimits = {
  tailBytes: mebibyte / 2,
  heldBytes: 8 * mebibyte,
  aheadBytes: 16 * mebibyte,
  pieceBytes: { min: mebibyte / 64, max: 4 * mebibyte },
}

/** How column chunks are read. */
export interface ReadPlan {
  /** Chunks that are read whole, together with those beside them, lie in these. */
  ranges: Extent[]
  /** Bytes that are read at once of each other chunk. */
  pieceBytes: number
}

/** So much that nobody needs is read rather than asking twice. */
const gapMax = 64 * 1024

/**
 * Plans to read chunks that are needed at the same time with few requests and in bounded memory: small ones whole, those
 * that lie together at once; of large ones pieces. Pure.
 */
export function planReads(chunks: readonly Extent[], limits: ReadLimits): ReadPlan {
  const { heldBytes, aheadBytes, pieceBytes } = limits
  const bySize = chunks.toSorted((a, b) => lengthOf(a) - lengthOf(b))
  const whole: Extent[] = []
  let held = 0
  for (const chunk of bySize) {
    held += lengthOf(chunk)
    if (held > heldBytes) break
    whole.push(chunk)
  }
  const inPieces = chunks.length - whole.length
  const share = Math.floor(aheadBytes / Math.max(1, inPieces))
  return {
    ranges: joined(whole, heldBytes),
    pieceBytes: Math.max(pieceBytes.min, Math.min(pieceBytes.max, share)),
  }
}

/** Joins extents that lie together, as long as all of them come to no more than `bytesMax` with what is between. */
function joined(extents: readonly Extent[], bytesMax: number): Extent[] {
  const ranges: Extent[] = []
  let room = bytesMax - extents.reduce((sum, one) => sum + lengthOf(one), 0)
  for (const { start, end } of extents.toSorted((a, b) => a.start - b.start)) {
    const last = ranges.at(-1)
    const gap = last === undefined ? Number.POSITIVE_INFINITY : start - last.end
    if (last === undefined || gap > gapMax || gap > room) ranges.push({ start, end })
    else {
      last.end = Math.max(last.end, end)
      room -= Math.max(0, gap)
    }
  }
  return ranges
}

function lengthOf({ start, end }: Extent): number {
  return end - start
}

/** Reads what lies in one of these ranges from that range, which is read whole when it is asked for first. */
export function readByRanges(read: ReadRange, ranges: readonly Extent[]): ReadRange {
  const held = new Map<Extent, Promise<ArrayBuffer>>()
  return async (start, end) => {
    const range = ranges.find((one) => one.start <= start && end <= one.end)
    if (range === undefined) return read(start, end)
    const bytes = held.get(range) ?? read(range.start, range.end)
    held.set(range, bytes)
    return (await bytes).slice(start - range.start, end - range.start)
  }
}

/** Divides things of some size, in their order, into groups that come to no more than `sizeMax`, but for single ones. */
export function inGroups<Item>(
  items: readonly Item[],
  sizeOf: (item: Item) => number,
  sizeMax: number,
): Item[][] {
  const groups: Item[][] = []
  let size = Number.POSITIVE_INFINITY
  for (const item of items) {
    size += sizeOf(item)
    if (size > sizeMax) {
      groups.push([])
      size = sizeOf(item)
    }
    groups.at(-1)?.push(item)
  }
  return groups
}
