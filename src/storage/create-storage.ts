import type { Config } from '../config.ts'
import { createLocalStorage } from './local-folder.ts'
import { createS3Storage } from './s3-folder.ts'
import { isS3Location, parseS3Location } from './s3-location.ts'
import type { Storage } from './storage.ts'

/** The stores that a server works with: folders of this machine, and S3. */
export function createStorage(config: Config): Storage {
  const local = createLocalStorage(config.mirrorRoots.filter((root) => !isS3Location(root)))
  const roots = config.mirrorRoots.filter(isS3Location).map(parseS3Location)
  const s3 = createS3Storage(
    roots.filter((root) => typeof root !== 'string'),
    config,
  )
  const storeOf = (location: string) => (isS3Location(location) ? s3 : local)
  return {
    resolve: (location) => storeOf(location).resolve(location),
    open: (location) => storeOf(location).open(location),
  }
}
