import type { Long, Violation } from '../../delta/actions.ts'
import { addLongs } from '../../delta/longs.ts'
import type { FileSums, Violations } from './staged-files.ts'

export const noFiles: FileSums = {
  numFiles: 0,
  sizeInBytes: 0,
  numRecords: 0,
  numFilesWithoutRecords: 0,
}

export function addFile(sums: FileSums, size: Long, numRecords: Long | null): FileSums {
  return {
    numFiles: sums.numFiles + 1,
    sizeInBytes: addLongs(sums.sizeInBytes, size),
    numRecords: addLongs(sums.numRecords, numRecords ?? 0),
    numFilesWithoutRecords: sums.numFilesWithoutRecords + (numRecords === null ? 1 : 0),
  }
}

/** An answer lists so many violations at most, and counts the rest. */
export const violationsMax = 1000

/** Adds what was found to what is known, of which the first in the body are kept. */
export function noteViolations(known: Violations, found: readonly Violation[]): void {
  if (found.length === 0) return
  known.count += found.length
  const all = [...known.list, ...found].sort((a, b) => a.index - b.index)
  known.list = all.slice(0, violationsMax)
}

/** A violation told of some actions as if they were all, with the places that these have in the body. */
export function toldInBody(
  violation: Violation,
  placeOf: (index: number) => number | undefined,
): Violation {
  const message = violation.message.replaceAll(
    /actions\[(\d+)\]/g,
    (_, index) => `actions[${placeOf(Number(index)) ?? index}]`,
  )
  return { ...violation, message, index: placeOf(violation.index) ?? violation.index }
}

/** Forgets what was found of actions that are judged anew. */
export function dropViolations(known: Violations, indexes: ReadonlySet<number>): void {
  const kept = known.list.filter(({ index }) => !indexes.has(index))
  known.count -= known.list.length - kept.length
  known.list = kept
}
