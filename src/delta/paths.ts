/** The paths of files as they stand in actions: URIs relative to the table, percent-encoded. */
import type { Action } from './actions.ts'
import { exceedsBytes, isStorableText, quoted } from './text.ts'
import type { ViolationCode } from './violations.ts'

/** The longest path that the service keeps, decoded, in bytes of UTF-8. */
export const pathBytesMax = 2000

/** Why a path names no file of a table; `message` reads on from "path". */
export interface PathFault {
  code: ViolationCode
  message: string
}

/** `key` is the path decoded: two paths are the same file when their keys are equal. */
export type ParsedPath = { key: string; fault?: undefined } | { key?: undefined; fault: PathFault }

const scheme = /^[a-z][a-z0-9+.-]*:/i
const parentSegment = /(?:^|[/\\])\.\.(?:[/\\]|$)/
const emptySegment = /(?:^|\/)\.?(?:\/|$)/
/** Parsers of URIs end a path here, turn these into something else, or drop them. */
const ambiguous = /[?#\\\p{Cc}]|^ | $/u

function fault(code: ViolationCode, message: string): ParsedPath {
  return { fault: { code, message } }
}

function decode(path: string): string | undefined {
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

function rawFault(path: string): ParsedPath | undefined {
  if (path === '') return fault('path-empty', 'cannot be empty')
  if (scheme.test(path)) {
    return fault(
      'path-absolute',
      `${quoted(path)} begins with a scheme; give it relative to the table's location, with %3A for a colon in its first segment`,
    )
  }
  if (ambiguous.test(path)) {
    return fault(
      'path-character-invalid',
      `${quoted(path)} holds ?, #, a backslash, a control character or an outer space as it is; percent-encode it`,
    )
  }
  return undefined
}

function decodedFault(key: string): ParsedPath | undefined {
  if (!isStorableText(key)) {
    return fault('path-character-invalid', `${quoted(key)} holds a NUL or an unpaired surrogate`)
  }
  if (key.startsWith('/')) {
    const message = `${quoted(key)} is absolute; give it relative to the table's location`
    return fault('path-absolute', message)
  }
  if (parentSegment.test(key)) {
    const message = `${quoted(key)} has a ".." segment; name a file inside the table's location`
    return fault('path-parent-segment', message)
  }
  if (emptySegment.test(key)) {
    const message = `${quoted(key)} has an empty or "." segment; leave it out`
    return fault('path-empty-segment', message)
  }
  if (key.startsWith('_delta_log/')) {
    return fault('path-in-log', `${quoted(key)} lies in _delta_log; data files live elsewhere`)
  }
  if (exceedsBytes(key, pathBytesMax)) {
    return fault(
      'path-too-long',
      `${quoted(key)} is longer than ${pathBytesMax} bytes when decoded`,
    )
  }
  return undefined
}

/**
 * Reads the path of a file action (PROTOCOL.md, "Add File and Remove File"). The protocol also allows
 * absolute URIs, for clones that share files; this service refuses them so far. Nothing is normalised: to an
 * object store `a//b` and `a/b` are two files, to a file system one, so such paths are refused.
 */
export function parsePath(path: string): ParsedPath {
  const raw = rawFault(path)
  if (raw !== undefined) return raw
  const key = decode(path)
  if (key === undefined) {
    const message = `${quoted(path)} is not UTF-8 in percent-encoding; write a lone % as %25`
    return fault('path-encoding-invalid', message)
  }
  return decodedFault(key) ?? { key }
}

const plain = /^[^%/:]+(?:\/[^%/:]+)*$/
const slashes = /^\/+/

/**
 * The canonical form of a path that any writer may have given: that of `parsePath` where it accepts the path; else the
 * path decoded, an absolute one of this machine with the scheme `file:` and one slash. Undefined where it could not be
 * kept.
 */
export function loggedKey(path: string): string | undefined {
  if (plain.test(path) && isStorableText(path) && path.length * 3 <= pathBytesMax) return path
  const isLocal = path.startsWith('/') || /^file:\//i.test(path)
  const below = isLocal ? path.replace(/^file:/i, '').replace(slashes, '/') : path
  const key = `${isLocal ? 'file:' : ''}${decode(below) ?? below}`
  const canBeKept = key !== '' && isStorableText(key) && !exceedsBytes(key, pathBytesMax)
  return canBeKept ? key : undefined
}

/** The canonical form of a path that is in the log or may come into it. Throws a RangeError for any other. */
export function fileKey(path: string): string {
  const key = loggedKey(path)
  if (key === undefined) throw new RangeError(`path ${quoted(path)} cannot be kept`)
  return key
}

/** The canonical paths, each once, of the files that actions add or remove; unfit paths are left out. */
export function fileKeysOf(actions: readonly Action[]): string[] {
  const keys = new Set<string>()
  for (const action of actions) {
    if (action.kind !== 'add' && action.kind !== 'remove') continue
    const key = loggedKey(action.body.path)
    if (key !== undefined) keys.add(key)
  }
  return [...keys]
}
