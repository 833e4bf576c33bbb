import { createHash } from 'node:crypto'
import { beforeVersion, listLogLines } from '../commits/log-lines.ts'
import type { Db } from '../database/connect.ts'
import { commitFileName, parseLogFileName } from '../delta/log-files.ts'
import type { Folder } from '../storage/storage.ts'
import { commitInfoOf, type Fork, type ForkSide } from './rules.ts'

/** Beyond this size their file is not read to its end. */
const hashedBytesMax = 256 * 1024 * 1024
/** How many files of their log are looked at to tell how far it goes. */
const filesMax = 100_000
const pageLines = 2000

/** What both sides have at the version where they part. `headVersion` is the newest that was committed here. */
export async function describeFork(
  db: Db,
  folder: Folder,
  { tableId, version, headVersion }: { tableId: string; version: number; headVersion: number },
): Promise<Fork> {
  const ours = version <= headVersion ? await describeOurs(db, tableId, version) : undefined
  // What cannot be looked at now must not hide that there is a fork.
  const found = await describeTheirs(folder, version).catch(() => undefined)
  return { version, ours, theirs: found?.theirs }
}

async function describeOurs(db: Db, tableId: string, version: number): Promise<ForkSide> {
  const side = new SideReader()
  let lines: Awaited<ReturnType<typeof listLogLines>>
  let after = beforeVersion(version)
  do {
    lines = await listLogLines(db, { tableId, after, to: version }, pageLines)
    after = lines.at(-1) ?? after
    side.take(Buffer.from(lines.map(({ line }) => `${line}\n`).join('')))
  } while (lines.length === pageLines)
  return side.end()
}

/** What the log holds from a version on: that version, or one behind that is missing. Undefined when neither. */
export async function describeTheirs(
  folder: Folder,
  version: number,
): Promise<Pick<Fork, 'theirs' | 'nextVersion'> | undefined> {
  const found = await findCommits(folder, version)
  if (found === undefined) return undefined
  if (found.version > version) return { nextVersion: found.version }
  const { size, modifiedAt, lastVersion } = found
  const side = new SideReader()
  const isWhole = size <= hashedBytesMax
  const end = isWhole ? size : SideReader.headBytes
  if (end > 0) {
    const name = commitFileName(version)
    for await (const chunk of await folder.read(name, { start: 0, end })) side.take(chunk)
  }
  const { sha256, ...told } = side.end()
  return {
    theirs: {
      ...told,
      sizeInBytes: size,
      sha256: isWhole ? sha256 : undefined,
      modifiedAt: new Date(modifiedAt).toISOString(),
      lastVersion,
    },
  }
}

/** The first commit from a version on, and the version up to which those behind it follow without a gap. */
async function findCommits(folder: Folder, version: number) {
  let first: { version: number; size: number; modifiedAt: number; lastVersion: number } | undefined
  let looked = 0
  const startAfter = version > 0 ? commitFileName(version - 1) : undefined
  for await (const { name, size, modifiedAt } of folder.list(startAfter ? { startAfter } : {})) {
    looked += 1
    const file = parseLogFileName(name)
    if (file?.kind === 'commit' && file.version >= version) {
      first ??= { version: file.version, size, modifiedAt, lastVersion: file.version - 1 }
      if (file.version !== first.lastVersion + 1) break
      first.lastVersion = file.version
    }
    if (looked >= filesMax) break
  }
  return first
}

/** Makes of the bytes of a log file what is told of it, in bounded memory. */
class SideReader {
  /** The commitInfo is looked for up to here. */
  static readonly headBytes = 64 * 1024
  readonly #hash = createHash('sha256')
  readonly #head: Buffer[] = []
  #sizeInBytes = 0

  take(bytes: Buffer): void {
    this.#hash.update(bytes)
    if (this.#sizeInBytes < SideReader.headBytes) {
      this.#head.push(bytes.subarray(0, SideReader.headBytes - this.#sizeInBytes))
    }
    this.#sizeInBytes += bytes.length
  }

  end(): ForkSide {
    return {
      ...commitInfoOf(Buffer.concat(this.#head).toString('utf8')),
      sizeInBytes: this.#sizeInBytes,
      sha256: this.#hash.digest('hex'),
    }
  }
}
