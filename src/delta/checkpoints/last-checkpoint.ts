/** The file `_last_checkpoint` (PROTOCOL.md, "Last Checkpoint File Schema"). */
import { elementSources, memberSources } from '../json.ts'

/** A checkpoint that is written. */
export interface WrittenCheckpoint {
  version: number
  /** Actions in it, those in sidecars included. */
  numActions: number
  numAddFiles: number
  /** Bytes of all its files. */
  sizeInBytes: number
  /** Of one by the V2 spec: the file that names the others. */
  top?: { name: string; sizeInBytes: number; modifiedAt: number } | undefined
}

/** Its content but for the checksum. Readers and Spark want the first two members first. */
export function lastCheckpointText(checkpoint: WrittenCheckpoint): string {
  const { version, numActions, numAddFiles, sizeInBytes, top } = checkpoint
  return JSON.stringify({
    version,
    size: numActions,
    sizeInBytes,
    numOfAddFiles: numAddFiles,
    // As Spark writes it; the protocol leaves the member to its writers.
    ...(top && {
      v2Checkpoint: {
        path: top.name,
        sizeInBytes: top.sizeInBytes,
        modificationTime: top.modifiedAt,
      },
    }),
  })
}

/** Percent-encodes all bytes but those that no URI needs encoded. */
function encoded(text: string): string {
  const toHex = (mark: string) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`
  return `"${encodeURIComponent(text).replaceAll(/[!'()*]/g, toHex)}"`
}

/** Each scalar of a JSON text behind the way that leads to it, outermost step first. */
function* leaves(
  source: string,
  way: readonly string[],
): Generator<{ way: string; value: string }> {
  if (source.startsWith('{')) {
    for (const [name, member] of memberSources(source)) {
      if (way.length === 0 && name === 'checksum') continue
      yield* leaves(member, [...way, encoded(name)])
    }
  } else if (source.startsWith('[')) {
    for (const [index, element] of elementSources(source).entries()) {
      yield* leaves(element, [...way, String(index)])
    }
  } else {
    const value = source.startsWith('"') ? encoded(JSON.parse(source)) : source
    yield { way: way.join('+'), value }
  }
}

/**
 * The one form that all texts of the same JSON object have; its MD5 is the member `checksum`, which it leaves out
 * (PROTOCOL.md, "JSON checksum").
 */
export function canonicalJson(text: string): string {
  const pairs = [...leaves(text.trim(), [])]
  // All characters are ASCII, so this is the order of their bytes.
  pairs.sort((a, b) => (a.way < b.way ? -1 : 1))
  return pairs.map(({ way, value }) => `${way}=${value}`).join(',')
}
