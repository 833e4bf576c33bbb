/** Which tables of others can be read, and lived with. */
import type { Protocol } from './actions.ts'
import { featureFault, readerVersionMax, supportedFeatures, writerVersionMax } from './features.ts'

/** Why versions under a protocol cannot be read; to be read behind its place. */
export function readFault({ minReaderVersion, readerFeatures }: Protocol): string | undefined {
  if (minReaderVersion > readerVersionMax) {
    return `the table needs readers of version ${minReaderVersion}; the highest known is ${readerVersionMax}`
  }
  if (minReaderVersion < readerVersionMax) return undefined
  return firstFault(readerFeatures ?? [])
}

/** Why no commit could follow a table's newest version; to be read behind its place. */
export function importFault(protocol: Protocol): string | undefined {
  const { minWriterVersion } = protocol
  if (minWriterVersion > writerVersionMax) {
    return `the table needs writers of version ${minWriterVersion}; the highest known is ${writerVersionMax}`
  }
  return firstFault(supportedFeatures(protocol))
}

function firstFault(features: Iterable<string>): string | undefined {
  for (const feature of features) {
    const fault = featureFault(feature)
    if (fault !== undefined) return fault
  }
  return undefined
}
