import type { Stats } from 'node:fs'
import { lstat, readdir, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, join, normalize, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exceedsBytes, isStorableText } from '../delta/text.ts'
import { Problem } from '../problems.ts'

/** As long as PostgreSQL can index. */
const locationBytesMax = 2000

/**
 * Reads a location given by a caller, an absolute path or a `file:` URI, and answers it as a path with links
 * resolved. Throws `location-not-allowed` when it does not lie below one of `roots`, links followed.
 */
export async function resolveLocation(location: string, roots: readonly string[]): Promise<string> {
  const path = normalize(toPath(location)).replace(/(?<=.)\/+$/, '')
  const real = await realLocation(path)
  for (const root of roots) {
    if (isBelow(real, await realLocation(root))) return real
  }
  const message =
    real === path
      ? `The location ${path} lies below none of the allowed folders.`
      : `The location ${path} leads to ${real}, which lies below none of the allowed folders.`
  throw new Problem('location-not-allowed', `${message} They are set by MIRROR_ROOTS.`)
}

/** The folder for a table that names no location. */
export function defaultLocation(dataDir: string, tableId: string): string {
  return join(dataDir, 'tables', tableId)
}

/**
 * True when the location already has a Delta log. Throws `location-not-allowed` when none can be begun there:
 * its path is too long, or something other than a folder, or a link, is in its way.
 */
export async function hasDeltaLog(location: string): Promise<boolean> {
  if (exceedsBytes(location, locationBytesMax)) {
    throw notAllowed(`It is longer than ${locationBytesMax} bytes.`)
  }
  const log = join(location, '_delta_log')
  for (const folder of [location, log]) {
    const found = await lookAt(folder)
    if (found === undefined) return false
    if (!found.isDirectory()) throw notAllowed(`${folder} is not a folder.`)
  }
  const names = await readdir(log)
  return names.some((name) => !name.startsWith('.'))
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

function toPath(location: string): string {
  const path = isAbsolute(location) ? location : fromUri(location)
  if (!isStorableText(path)) throw notAllowed('It must not contain NUL.')
  return path
}

function fromUri(location: string): string {
  const uri = /^file:/i.test(location) ? URL.parse(location) : null
  if (uri === null) throw notAllowed('It must be an absolute path or a file: URI.')
  if (uri.search !== '' || uri.hash !== '') {
    throw notAllowed('As a file: URI it has no query and no fragment; write ? as %3F and # as %23.')
  }
  try {
    return fileURLToPath(uri)
  } catch (error) {
    throw notAllowed(`It is not the file: URI of a path here: ${(error as Error).message}.`)
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
  if ((await lookAt(path))?.isSymbolicLink()) throw notAllowed(`${path} is a link to nowhere.`)
  const parent = dirname(path)
  return parent === path ? path : join(await realLocation(parent), path.slice(parent.length))
}

/** True when `path` lies inside `root`, and is not `root` itself. */
export function isBelow(path: string, root: string): boolean {
  const way = relative(root, path)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

function cannotLook(error: unknown): Problem {
  return notAllowed(`It cannot be looked at: ${(error as Error).message}.`)
}

function notAllowed(detail: string): Problem {
  return new Problem('location-not-allowed', `The location cannot be used. ${detail}`)
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
