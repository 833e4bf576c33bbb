import { invalidRequest } from '../http/faults.ts'
import type { Condition } from './operations.ts'

/** The versions in a list of ETags; weak ones and those of others stand for none. */
export function versionsOf(etags: string): number[] {
  return etags.split(',').flatMap((etag) => {
    const version = /^\s*"([1-9]\d{0,14})"\s*$/.exec(etag)?.[1]
    return version === undefined ? [] : Number(version)
  })
}

/** What the headers of a write, or the version that it expects, demand of the entry. Throws where both do. */
export function conditionOf(
  headers: { 'if-match'?: string; 'if-none-match'?: string },
  expected: Condition | undefined,
): Condition | undefined {
  const { 'if-match': match, 'if-none-match': noneMatch } = headers
  const given = [match, noneMatch, expected].filter((one) => one !== undefined)
  if (given.length > 1) {
    const message = 'give one of If-Match, If-None-Match and expectedVersion'
    throw invalidRequest('headers', [{ pointer: '/headers', message }])
  }
  if (noneMatch !== undefined) return { kind: 'absent' }
  if (match === undefined) return expected
  return match.trim() === '*'
    ? { kind: 'exists' }
    : { kind: 'version', versions: versionsOf(match) }
}
