import type { Stats } from 'node:fs'
import { lstat, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, join, normalize, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isStorableText } from '../delta/text.ts'
import { locationNotAllowed } from './location-problem.ts'

/**
 * Reads a location given by a caller, an absolute path or a `file:` URI, and answers it as a path with links
 * resolved. Throws `location-not-allowed` when it does not lie below one of `roots`, links followed.
 */
export async function resolveLocalLocation(
  location: string,
  roots: readonly string[],
): Promise<string> {
  const path = normalize(toPath(location)).replace(/(?<=.)\/+$/, '')
  const real = await realLocation(path)
  for (const root of roots) {
    if (isBelow(real, await realLocation(root))) return real
  }
  const leads = real === path ? '' : ` It leads to ${real}.`
  throw locationNotAllowed(`${path} lies below none of the allowed folders.${leads}`)
}

function toPath(location: string): string {
  const path = isAbsolute(location) ? location : fromUri(location)
  if (!isStorableText(path)) throw locationNotAllowed('It must not contain NUL.')
  return path
}

function fromUri(location: string): string {
  const uri = /^file:/i.test(location) ? URL.parse(location) : null
  if (uri === null) {
    throw locationNotAllowed('It must be an absolute path, a file: URI or an s3: URI.')
  }
  if (uri.search !== '' || uri.hash !== '') {
    throw locationNotAllowed(
      'As a file: URI it has no query and no fragment; write ? as %3F and # as %23.',
    )
  }
  try {
    return fileURLToPath(uri)
  } catch (error) {
    throw locationNotAllowed(`It is not the file: URI of a path here: ${messageOf(error)}.`)
  }
}

/** The path with links resolved as far as it exists. */
async function realLocation(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if (!isAbsent(error)) throw cannotLook(error)
  }
  // A link whose target is absent would send the first write to wherever that is.
  if ((await lookAt(path))?.isSymbolicLink()) {
    throw locationNotAllowed(`${path} is a link to nowhere.`)
  }
  const parent = dirname(path)
  return parent === path ? path : join(await realLocation(parent), path.slice(parent.length))
}

/** What is at a path, links not followed; undefined when nothing is. */
async function lookAt(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw cannotLook(error)
  }
}

/** True when `path` lies inside `root`, and is not `root` itself. */
function isBelow(path: string, root: string): boolean {
  const way = relative(root, path)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

function cannotLook(error: unknown): Error {
  return locationNotAllowed(`It cannot be looked at: ${messageOf(error)}.`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Whether a call failed because nothing is there. */
export function isAbsent(error: unknown): boolean {
  return hasCode(error, 'ENOENT')
}

/** Whether an error of the system is this one. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
