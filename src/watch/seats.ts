import { Problem } from '../problems.ts'

/** Counts the streams of a server that are watched, whatever they tell of. */
export interface Seats {
  /** Throws `overloaded` when nobody more may watch. */
  refuseTooMany: () => void
  take: () => void
  leave: () => void
  /** Streams that are open. */
  taken: () => number
}

/** Lets so many streams be open. */
export function createSeats(max: number): Seats {
  let taken = 0
  return {
    refuseTooMany() {
      if (taken < max) return
      throw new Problem('overloaded', `${taken} streams are watched already. Repeat later.`, {
        headers: { 'retry-after': '10' },
      })
    },
    take: () => {
      taken += 1
    },
    leave: () => {
      taken -= 1
    },
    taken: () => taken,
  }
}
