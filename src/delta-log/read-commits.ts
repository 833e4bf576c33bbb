import { setImmediate } from 'node:timers/promises'
import type { LoggedAction } from '../delta/log-line.ts'
import { readLogLine } from '../delta/log-line.ts'
import { type Line, linesOf } from '../http/lines.ts'
import { Problem } from '../problems.ts'
import type { Folder } from '../storage/storage.ts'
import { invalidLog } from './invalid-log.ts'
import { fileInTable, readLogFile } from './log-folder.ts'

/** An action at its place in a file. */
export interface PlacedAction extends LoggedAction {
  /** From 0; lines without text do not count. */
  position: number
  /** From 1, every line counted. */
  number: number
}

/** Schemas of thousands of columns take some megabytes. */
const lineBytesMax = 64 * 1024 * 1024
/** Lines that are read without a pause for other work. */
const sliceMax = 500

/** Told of how far the reading of files has come. */
export interface ReadMeter {
  /** So many bytes were read. */
  read: (bytes: number) => void
  /** So many bytes are to be read that were not known of. */
  find: (bytes: number) => void
}

export const noMeter: ReadMeter = { read() {}, find() {} }

/** The actions of a file of commits, in order, some at a time. Throws `delta-log-invalid` with the line. */
export async function* readCommits(
  folder: Folder,
  name: string,
  meter = noMeter,
): AsyncGenerator<PlacedAction[]> {
  let position = 0
  for await (const lines of readLines(folder, name, meter)) {
    for (let at = 0; at < lines.length; at += sliceMax) {
      const actions = lines.slice(at, at + sliceMax).map(({ text, number }) => {
        const read = readLogLine(text)
        if (read.fault !== undefined) {
          throw invalidLog({ file: fileInTable(name), line: number, message: read.fault })
        }
        return { ...read.logged, position: position++, number }
      })
      yield actions
      if (at + sliceMax < lines.length) await setImmediate()
    }
  }
}

/** The lines of a file that are not empty, some at a time. Throws `delta-log-invalid`. */
export async function* readLines(
  folder: Folder,
  name: string,
  meter = noMeter,
): AsyncGenerator<Line[]> {
  const file = await readLogFile(folder, name)
  try {
    yield* linesOf(metered(file, meter), { bytesMax: Number.POSITIVE_INFINITY, lineBytesMax })
  } catch (error) {
    if (!(error instanceof Problem) || error.code === 'delta-log-invalid') throw error
    const message =
      error.code === 'body-too-large'
        ? `a line has more than ${lineBytesMax} bytes`
        : 'the text is not UTF-8'
    throw invalidLog({ file: fileInTable(name), message }, error)
  }
}

async function* metered(
  source: AsyncIterable<Buffer>,
  { read }: ReadMeter,
): AsyncGenerator<Buffer> {
  for await (const bytes of source) {
    read(bytes.length)
    yield bytes
  }
}
