/** Where the log of a table says something else than the database. */
export interface Difference {
  version: number
  /** Below the folder of the table. */
  file: string
  /** From 1. */
  line?: number
  message: string
  /** What the database has there, cut short. */
  ours?: string
  /** What the log has there, cut short. */
  theirs?: string
}

/** The first differences, and how many there are. */
export interface Differences {
  list: Difference[]
  count: number
}

const listedMax = 100
const shownMax = 1000

/** Notes a difference; of those that are too many only that they are there. */
export function noteDifference(differences: Differences, difference: Difference): void {
  differences.count += 1
  if (differences.list.length === listedMax) return
  const { ours, theirs, ...place } = difference
  differences.list.push({
    ...place,
    ...(ours !== undefined && { ours: shown(ours) }),
    ...(theirs !== undefined && { theirs: shown(theirs) }),
  })
}

function shown(text: string): string {
  return text.length > shownMax ? `${text.slice(0, shownMax)}…` : text
}
