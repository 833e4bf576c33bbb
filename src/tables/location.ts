import { lstat, readdir, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, join, normalize, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Problem } from '../problems.ts'

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

/** True when the folder already has a Delta log. */
export async function hasDeltaLog(location: string): Promise<boolean> {
  try {
    const names = await readdir(join(location, '_delta_log'))
    return names.some((name) => !name.startsWith('.'))
  } catch (error) {
    if (isAbsent(error)) return false
    throw error
  }
}

function toPath(location: string): string {
  if (location.includes('\0')) throw notAllowed('It must not contain NUL.')
  if (isAbsolute(location)) return location
  if (!location.startsWith('file:')) throw notAllowed('It must be an absolute path or a file: URI.')
  try {
    return fileURLToPath(location)
  } catch {
    throw notAllowed('It is not a valid file: URI.')
  }
}

/** The path with links resolved as far as it exists. */
async function realLocation(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if (!isAbsent(error)) throw notAllowed(`It cannot be looked at: ${(error as Error).message}.`)
  }
  // A link whose target is absent would send the first write to wherever that is.
  const isLink = await lstat(path).then(
    (stats) => stats.isSymbolicLink(),
    () => false,
  )
  if (isLink) throw notAllowed(`${path} is a link to nowhere.`)
  const parent = dirname(path)
  return parent === path ? path : join(await realLocation(parent), path.slice(parent.length))
}

/** True when `path` lies inside `root`, and is not `root` itself. */
export function isBelow(path: string, root: string): boolean {
  const way = relative(root, path)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

function notAllowed(detail: string): Problem {
  return new Problem('location-not-allowed', `The location cannot be used. ${detail}`)
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
