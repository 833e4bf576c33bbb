import { randomUUID } from 'node:crypto'
import { type FileHandle, link, mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { commitFileName } from '../delta/log-files.ts'
import { resolveLocation } from '../tables/location.ts'

/** The log file of one version while it is written, out of every reader's sight. */
export interface PendingLogFile {
  version: number
  append: (text: string) => Promise<void>
  /** Makes the bytes survive a loss of power; none may follow. */
  seal: (inCommitTimestamp: number) => Promise<void>
  /**
   * Brings the file, which is sealed, under its name unless there is one of that name. Answers what stands there
   * now: `published` our bytes, whoever wrote them; `forked` other bytes, left untouched.
   */
  link: () => Promise<'published' | 'forked'>
  /** Removes the name that it had until now, published or given up. */
  discard: () => Promise<void>
}

/**
 * Opens the `_delta_log` of a table, which is made if it is not there; answers its path, links resolved. Throws
 * `location-not-allowed` when it does not lie below one of `roots`.
 */
export async function openLogFolder(location: string, roots: readonly string[]): Promise<string> {
  const folder = await resolveLocation(join(location, '_delta_log'), roots)
  await mkdir(folder, { recursive: true })
  return folder
}

/**
 * Readers of Delta logs pass over names that begin with a dot. Each attempt has a name of its own: a publisher
 * that lost its lock without knowing yet shares no file with the one that has it now.
 */
function temporaryName(version: number): string {
  return `.deltaworks-${commitFileName(version)}-${randomUUID()}.tmp`
}

const temporaryPattern = /^\.deltaworks-\d{20}\.json-[0-9a-f-]{36}\.tmp$/

/** Removes what publishers left that were stopped halfway. Only for who holds the mirror's lock. */
export async function sweepLogFolder(folder: string): Promise<void> {
  const leftovers = (await readdir(folder)).filter((name) => temporaryPattern.test(name))
  await Promise.all(leftovers.map((name) => rm(join(folder, name), { force: true })))
}

/** Begins the log file of a version. */
export async function beginLogFile(folder: string, version: number): Promise<PendingLogFile> {
  const path = join(folder, commitFileName(version))
  const temporary = join(folder, temporaryName(version))
  const file = await open(temporary, 'wx', 0o644)
  return {
    version,
    append: (text) => file.writeFile(text),
    async seal(inCommitTimestamp) {
      // Readers that do not know in-commit timestamps take the time of the file.
      await file.utimes(inCommitTimestamp / 1000, inCommitTimestamp / 1000)
      await file.sync()
    },
    link: () => putIfAbsent(temporary, path),
    async discard() {
      await file.close()
      // If this fails, the next sweep removes it.
      await rm(temporary, { force: true }).catch(() => {})
    },
  }
}

async function putIfAbsent(temporary: string, path: string): Promise<'published' | 'forked'> {
  try {
    await link(temporary, path)
    return 'published'
  } catch (error) {
    if (!isTaken(error)) throw error
    return (await haveSameBytes(temporary, path)) ? 'published' : 'forked'
  }
}

/** Makes names that were published in the folder survive a loss of power. */
export async function syncLogFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const chunkBytes = 64 * 1024

async function haveSameBytes(one: string, other: string): Promise<boolean> {
  const files = await Promise.all([open(one, 'r'), open(other, 'r')])
  try {
    const [a, b] = files
    while (true) {
      const [left, right] = await Promise.all([readChunk(a), readChunk(b)])
      if (!left.equals(right)) return false
      if (left.length === 0) return true
    }
  } finally {
    await Promise.all(files.map((file) => file.close()))
  }
}

async function readChunk(file: FileHandle): Promise<Buffer> {
  const buffer = Buffer.alloc(chunkBytes)
  let length = 0
  while (length < chunkBytes) {
    const { bytesRead } = await file.read(buffer, length, chunkBytes - length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.subarray(0, length)
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST'
}
