import { randomUUID } from 'node:crypto'
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from './local-location.ts'
import type { PendingFile } from './storage.ts'

/**
 * Readers of Delta logs pass over names that begin with a dot. Each attempt has a name of its own: a writer that
 * lost its lock without knowing yet shares no file with the one that has it now.
 */
function temporaryName(name: string): string {
  return `.deltaworks-${name}-${randomUUID()}.tmp`
}

/** The name of the file that a temporary name is for; undefined when the name is none of ours. */
export function nameOfTemporary(temporary: string): string | undefined {
  return /^\.deltaworks-(.+)-[0-9a-f-]{36}\.tmp$/.exec(temporary)?.[1]
}

/** Begins a file in a directory, which must be there. `onChange` is told when a name in it changes. */
export async function beginLocalFile(
  directory: string,
  { name, isExpendable, onChange }: { name: string; isExpendable: boolean; onChange: () => void },
): Promise<PendingFile> {
  const path = join(directory, name)
  const temporary = join(directory, temporaryName(name))
  const file = await open(temporary, 'wx', 0o644)
  return {
    append: (bytes) => file.writeFile(bytes),
    async seal(modifiedAt) {
      if (modifiedAt !== undefined) await file.utimes(modifiedAt / 1000, modifiedAt / 1000)
      if (!isExpendable) await file.sync()
    },
    putIfAbsent() {
      onChange()
      return putIfAbsent(temporary, path)
    },
    replace() {
      onChange()
      return rename(temporary, path)
    },
    async discard() {
      await Promise.allSettled([file.close(), rm(temporary, { force: true })])
    },
  }
}

async function putIfAbsent(temporary: string, path: string): Promise<'put' | 'same' | 'other'> {
  try {
    await link(temporary, path)
    return 'put'
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
    return (await haveSameBytes(temporary, path)) ? 'same' : 'other'
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
