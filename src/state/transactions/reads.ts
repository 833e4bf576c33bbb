import { compareBytes } from '../key-range.ts'
import type { KeyRead, RangeRead, StateReads } from '../operations.ts'

/** Ranges of one namespace that are told apart; more are taken for one that covers them all. */
const rangesMax = 100

interface NamespaceReads {
  keys: Map<string, KeyRead>
  ranges: RangeRead[]
}

/** What a transaction has read of a past that does not change, so that reading it again is nothing new. Pure. */
export class ReadLog {
  readonly #namespaces = new Map<number, NamespaceReads>()
  #keys = 0

  /** Keys that were read, without those that were read with a range. */
  get keys(): number {
    return this.#keys
  }

  /** The namespaces that were read from. */
  namespaces(): number[] {
    return [...this.#namespaces.keys()]
  }

  of(namespaceId: number): StateReads {
    const { keys, ranges } = this.#at(namespaceId)
    return { keys: [...keys.values()], ranges }
  }

  noteKeys(namespaceId: number, reads: readonly KeyRead[]): void {
    const { keys } = this.#at(namespaceId)
    for (const read of reads) {
      if (!keys.has(read.key)) this.#keys += 1
      keys.set(read.key, read)
    }
  }

  noteRange(namespaceId: number, range: RangeRead): void {
    const reads = this.#at(namespaceId)
    const last = reads.ranges.at(-1)
    if (last !== undefined && meet(last, range)) reads.ranges.splice(-1, 1, hull(last, range))
    else reads.ranges.push(range)
    if (reads.ranges.length > rangesMax) reads.ranges = [reads.ranges.reduce(hull)]
  }

  #at(namespaceId: number): NamespaceReads {
    const reads = this.#namespaces.get(namespaceId) ?? { keys: new Map(), ranges: [] }
    this.#namespaces.set(namespaceId, reads)
    return reads
  }
}

/** Whether there is nothing between two ranges, as between two pages. */
function meet(one: RangeRead, other: RangeRead): boolean {
  return reaches(one, other.from) && reaches(other, one.from)
}

function reaches({ to }: RangeRead, from: string): boolean {
  return to === undefined || compareBytes(to, from) >= 0
}

/** The smallest range that covers both. */
function hull(one: RangeRead, other: RangeRead): RangeRead {
  const isFirst = compareBytes(one.from, other.from) <= 0
  const ends = [one.to, other.to].filter((to) => to !== undefined)
  return {
    from: isFirst ? one.from : other.from,
    to: ends.length < 2 ? undefined : ends.toSorted(compareBytes)[1],
    sinceRevision: Math.min(one.sinceRevision, other.sinceRevision),
  }
}
