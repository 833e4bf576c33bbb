import { constants } from 'node:fs'
import { type FileHandle, link, mkdir, open, unlink, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { commitFileName } from '../delta/log-files.ts'

/** The log file of one version while it is written, out of every reader's sight. */
export interface PendingLogFile {
  append: (text: string) => Promise<void>
  /**
   * Brings the file, whole and synced, under its name unless there is one of that name. Answers what stands
   * there now: `published` our bytes, whoever wrote them; `forked` other bytes, left untouched.
   */
  publish: (inCommitTimestamp: number) => Promise<'published' | 'forked'>
  /** Gives the file up. */
  discard: () => Promise<void>
}

/** Opens the `_delta_log` of a table, which is made if it is not there; answers its path. */
export async function openLogFolder(location: string): Promise<string> {
  const folder = join(location, '_delta_log')
  await mkdir(folder, { recursive: true })
  return folder
}

/**
 * Begins the log file of a version. Its temporary name begins with a dot, which readers of Delta logs pass
 * over, and is the same at each attempt, so that what a crash leaves behind is overwritten by the next.
 */
export async function beginLogFile(folder: string, version: number): Promise<PendingLogFile> {
  const name = commitFileName(version)
  const path = join(folder, name)
  const temporary = join(folder, `.${name}.tmp`)
  const { O_CREAT, O_TRUNC, O_WRONLY, O_NOFOLLOW } = constants
  const file = await open(temporary, O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW, 0o644)
  return {
    append: (text) => file.writeFile(text),
    publish: async (inCommitTimestamp) => {
      await file.sync()
      await file.close()
      // Readers that do not know in-commit timestamps take the time of the file.
      await utimes(temporary, inCommitTimestamp / 1000, inCommitTimestamp / 1000)
      try {
        await link(temporary, path)
        return 'published'
      } catch (error) {
        if (!isTaken(error)) throw error
        return (await haveSameBytes(temporary, path)) ? 'published' : 'forked'
      } finally {
        await unlink(temporary)
      }
    },
    discard: async () => {
      await file.close()
      await unlink(temporary)
    },
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
