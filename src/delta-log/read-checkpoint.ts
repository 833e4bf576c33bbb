import { setImmediate } from 'node:timers/promises'
import { sidecarFolder } from '../delta/log-files.ts'
import { readLogLine } from '../delta/log-line.ts'
import { Problem } from '../problems.ts'
import type { ByteRange, Folder } from '../storage/storage.ts'
import { decodeCheckpoint } from './decoder.ts'
import { invalidLog } from './invalid-log.ts'
import { fileInTable } from './log-folder.ts'
import { noMeter, type PlacedAction, type ReadMeter, readCommits } from './read-commits.ts'

/**
 * The actions of a file of a checkpoint, Parquet or JSON, and of the files that it refers to, some at a time. Throws
 * `delta-log-invalid`.
 */
export async function* readCheckpoint(
  folder: Folder,
  name: string,
  meter = noMeter,
): AsyncGenerator<PlacedAction[]> {
  const read = name.endsWith('.json') ? readCommits : readParquet
  const sidecars: string[] = []
  for await (const actions of read(folder, name, meter)) {
    yield actions.filter(({ action }) => {
      if (action.kind !== 'other') return true
      if (action.name === 'sidecar') {
        sidecars.push(sidecarOf(name, action.body))
        meter.find(sizeOf(action.body))
      }
      // What else stands in a checkpoint is about the checkpoint.
      return false
    })
  }
  for (const sidecar of sidecars) yield* readParquet(folder, sidecar, meter)
}

/** The file of a sidecar action (PROTOCOL.md, "Sidecar File Information"): all of them lie in one folder. */
function sidecarOf(checkpoint: string, body: unknown): string {
  const { path } = (body ?? {}) as { path?: unknown }
  const [file] = typeof path === 'string' ? path.split('/').slice(-1) : []
  if (file) return `${sidecarFolder}/${decodeURIComponent(file)}`
  throw invalidLog({ file: fileInTable(checkpoint), message: 'a sidecar action has no path' })
}

/** What a sidecar action says of the size of its file, as far as that can be. */
function sizeOf(body: unknown): number {
  const { sizeInBytes } = (body ?? {}) as { sizeInBytes?: unknown }
  return Math.max(0, Number.isSafeInteger(sizeInBytes) ? Number(sizeInBytes) : 0)
}

async function* readParquet(
  folder: Folder,
  name: string,
  meter: ReadMeter,
): AsyncGenerator<PlacedAction[]> {
  const file = fileInTable(name)
  try {
    const size = await folder.size(name)
    if (size === undefined) throw invalidLog({ file, message: 'the file is missing' })
    const read = async (start: number, end: number) => {
      const bytes = await readRange(folder, name, { start, end })
      meter.read(bytes.byteLength)
      return bytes
    }
    let number = 0
    for await (const lines of decodeCheckpoint(read, size)) {
      yield lines.flatMap((line) => {
        number += 1
        return line === '' ? [] : placeLine(line, { file, number })
      })
      await setImmediate()
    }
  } catch (error) {
    if (error instanceof Problem) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw invalidLog({ file, message: `the checkpoint cannot be read: ${reason}` }, error)
  }
}

async function readRange(folder: Folder, name: string, range: ByteRange): Promise<ArrayBuffer> {
  const bytes = Buffer.concat(await (await folder.read(name, range)).toArray())
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
}

function placeLine(text: string, place: { file: string; number: number }): PlacedAction {
  const read = readLogLine(text)
  if (read.fault !== undefined) {
    throw invalidLog({ file: place.file, line: place.number, message: read.fault })
  }
  return { ...read.logged, position: place.number - 1, number: place.number }
}
