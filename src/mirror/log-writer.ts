import type { LogLine } from '../commits/log-lines.ts'
import { commitFileName } from '../delta/log-files.ts'
import type { Folder, PendingFile } from '../storage/storage.ts'
import type { Turns } from './meetings.ts'

/** Thrown when the log holds a version with other bytes than ours. */
export class ForkError extends Error {
  override readonly name = 'ForkError'
}

/**
 * Turns the lines of a log, as they come, into its files, one a version. Files are written and synced several at
 * once, and appear one after the other. Disposing drops what has not appeared.
 */
export interface LogWriter extends AsyncDisposable {
  /** Takes the next lines. Throws when a file cannot be written, or `ForkError`. */
  write: (lines: readonly LogLine[]) => Promise<void>
  /** Whether its time is over, or another table is not where it should be, so that it takes no more lines. */
  isStopped: () => boolean
  /** Publishes what was written: no more lines will come. */
  finish: () => Promise<void>
  /** Makes what was published safe, and answers the newest version published, if any. */
  sync: () => Promise<number | undefined>
}

interface WrittenFile {
  version: number
  time: number
  file: PendingFile
}

/** What a writer may use. */
export interface LogWriterLimits {
  /** Files that are open at once at most. */
  files: number
  /** Characters that are written before what is whole of them is published. */
  chars: number
  /** Milliseconds after which no further file appears, but for the first. */
  ms: number
}

/** What a log writer asks of others. */
export interface LogWriterContext {
  /** The times of versions that do not tell theirs, in milliseconds since 1970. */
  findTimes: (versions: readonly number[]) => Promise<ReadonlyMap<number, number>>
  turns: Turns
}

/** Begins to write the next files of a log, which appear in their turn. */
export function openLogWriter(
  folder: Folder,
  limits: LogWriterLimits,
  { findTimes, turns }: LogWriterContext,
): LogWriter {
  const written: WrittenFile[] = []
  const deadline = performance.now() + limits.ms
  let chars = 0
  let published: number | undefined
  let isStopped = false

  async function publishWritten(): Promise<void> {
    try {
      // Readers that do not know in-commit timestamps take the time of the file.
      await allDone(written.map(({ file, time }) => file.seal(time)))
      // No reader may see a version before the one that precedes it.
      for (const { version, file } of written) {
        isStopped ||= !(await turns.before(version))
        if (isStopped) break
        if ((await file.putIfAbsent()) === 'other') throw forkOf(version)
        published = version
        isStopped = !(await turns.after(version)) || performance.now() > deadline
      }
    } finally {
      await discardWritten()
    }
  }

  async function discardWritten(): Promise<void> {
    chars = 0
    await Promise.all(written.splice(0).map(({ file }) => file.discard()))
  }

  /** The time of each version that begins here. */
  async function timesOf(files: ReadonlyMap<number, LogLine[]>): Promise<Map<number, number>> {
    const begun = written.at(-1)?.version
    const told = [...files].flatMap(([version, own]) =>
      version === begun ? [] : ([[version, toldTime(own[0])]] as const),
    )
    const untold = told.flatMap(([version, time]) => (time === undefined ? version : []))
    const found = untold.length > 0 ? await findTimes(untold) : new Map<number, number>()
    return new Map(told.map(([version, time]) => [version, time ?? found.get(version) ?? 0]))
  }

  return {
    async write(lines) {
      const files = byVersion(lines)
      const times = await timesOf(files)
      for (const [version, own] of files) {
        if (written.at(-1)?.version !== version) {
          if (written.length >= limits.files || chars > limits.chars) await publishWritten()
          if (isStopped) return
          const file = await folder.begin(commitFileName(version))
          written.push({ version, time: times.get(version) ?? 0, file })
        }
        const text = own.map(({ line }) => `${line}\n`).join('')
        chars += text.length
        await written.at(-1)?.file.append(text)
      }
    },
    isStopped: () => isStopped,
    finish: publishWritten,
    async sync() {
      if (published !== undefined) await folder.sync()
      return published
    },
    [Symbol.asyncDispose]: discardWritten,
  }
}

function byVersion(lines: readonly LogLine[]): Map<number, LogLine[]> {
  return Map.groupBy(lines, (line) => line.version)
}

/** The time that a version tells: the first line is its commitInfo, unless others wrote it. */
function toldTime(first: LogLine | undefined): number | undefined {
  const time = first && JSON.parse(first.line).commitInfo?.inCommitTimestamp
  return Number.isSafeInteger(time) ? time : undefined
}

/** Waits until all have come to an end; throws what failed first. */
async function allDone(work: readonly Promise<void>[]): Promise<void> {
  const ends = await Promise.allSettled(work)
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

function forkOf(version: number): ForkError {
  return new ForkError(
    `Version ${version} is in the log already, with other content than was committed here. Nothing was overwritten.`,
  )
}
