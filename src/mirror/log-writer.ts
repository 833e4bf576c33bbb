import type { LogLine } from '../commits/log-lines.ts'
import { beginLogFile, type PendingLogFile, syncLogFolder } from './log-folder.ts'

/** Thrown when the log holds a version with other bytes than ours. */
export class ForkError extends Error {
  override readonly name = 'ForkError'
}

/** Turns the lines of a log, as they come, into its files, one a version. Disposing drops a half-written one. */
export interface LogWriter extends AsyncDisposable {
  /** Takes the next lines. Throws when a file cannot be written, or `ForkError`. */
  write: (lines: readonly LogLine[]) => Promise<void>
  /** Publishes the last version begun: no more lines of it will come. */
  finish: () => Promise<void>
  /** Makes what was published safe, and answers the newest version published, if any. */
  sync: () => Promise<number | undefined>
}

interface OpenVersion {
  version: number
  inCommitTimestamp: number
  file: PendingLogFile
}

export function openLogWriter(folder: string): LogWriter {
  let open: OpenVersion | undefined
  let published: number | undefined

  async function publishOpen(): Promise<void> {
    if (open === undefined) return
    const { version, file, inCommitTimestamp } = open
    open = undefined
    const found = await file.publish(inCommitTimestamp)
    if (found === 'forked') {
      throw new ForkError(
        `Version ${version} is in the log already, with other content than was committed here. Nothing was overwritten.`,
      )
    }
    published = version
  }

  return {
    async write(lines) {
      for (const [version, own] of byVersion(lines)) {
        if (open?.version !== version) {
          await publishOpen()
          const file = await beginLogFile(folder, version)
          open = { version, file, inCommitTimestamp: timeOf(own[0]) }
        }
        await open.file.append(own.map(({ line }) => `${line}\n`).join(''))
      }
    },
    finish: publishOpen,
    async sync() {
      if (published !== undefined) await syncLogFolder(folder)
      return published
    },
    async [Symbol.asyncDispose]() {
      await open?.file.discard()
    },
  }
}

function byVersion(lines: readonly LogLine[]): Map<number, LogLine[]> {
  return Map.groupBy(lines, (line) => line.version)
}

/** The first line of a file is its commitInfo. */
function timeOf(first: LogLine | undefined): number {
  return first === undefined ? 0 : JSON.parse(first.line).commitInfo.inCommitTimestamp
}
