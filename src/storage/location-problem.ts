import { Problem } from '../problems.ts'

/** The refusal of a location, for the reason given as a sentence. */
export function locationNotAllowed(reason: string): Problem {
  return new Problem(
    'location-not-allowed',
    `The location cannot be used. ${reason} What is allowed is set by MIRROR_ROOTS.`,
  )
}
