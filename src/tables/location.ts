import { join } from 'node:path'
import { deltaLogOf } from '../delta/log-files.ts'
import { exceedsBytes } from '../delta/text.ts'
import { locationNotAllowed } from '../storage/location-problem.ts'
import type { Storage } from '../storage/storage.ts'

/** As long as PostgreSQL can index. */
const locationBytesMax = 2000

/** The folder for a table that names no location. */
export function defaultLocation(dataDir: string, tableId: string): string {
  return join(dataDir, 'tables', tableId)
}

/**
 * True when a resolved location already has a Delta log. Throws `location-not-allowed` when none can be begun there:
 * its path is too long, or something other than a folder, or a link, is in its way.
 */
export async function hasDeltaLog(storage: Storage, location: string): Promise<boolean> {
  if (exceedsBytes(location, locationBytesMax)) {
    throw locationNotAllowed(`It is longer than ${locationBytesMax} bytes.`)
  }
  const log = await storage.open(deltaLogOf(location))
  if (log.location !== deltaLogOf(location)) {
    throw locationNotAllowed(`${deltaLogOf(location)} is a link to ${log.location}.`)
  }
  for await (const { name } of log.list()) if (!name.startsWith('.')) return true
  return false
}
