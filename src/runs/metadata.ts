import {
  compactJson,
  jsonDepthMax,
  memberSources,
  nestsTooDeep,
  setMembers,
} from '../delta/json.ts'
import { invalidRequest } from '../http/faults.ts'

/** The `metadata` of a body, or another member, token for token, if it has one. Throws where it nests too deep. */
export function readMetadata(text: string, member = 'metadata'): string | undefined {
  const source = memberSources(text).get(member)
  if (source === undefined) return undefined
  if (!nestsTooDeep(source)) return compactJson(source)
  const message = `nests deeper than ${jsonDepthMax} values; flatten it`
  throw invalidRequest('body', [{ pointer: `/${member}`, message }])
}

/** The metadata of a run with what is told of it at its end: its members stay, but for those that are told anew. */
export function mergeMetadata(before: string | null, told: string | undefined): string | null {
  if (before === null || told === undefined) return told ?? before
  return setMembers(before, memberSources(told))
}
