import { allLogLines, beforeVersion } from '../../commits/log-lines.ts'
import type { Pool } from '../../database/connect.ts'
import { copyOut, readRows } from '../../database/copy-out.ts'
import { commitFileName } from '../../delta/log-files.ts'
import { fileInTable } from '../../delta-log/log-folder.ts'
import { readLines } from '../../delta-log/read-commits.ts'
import { Problem } from '../../problems.ts'
import type { Folder } from '../../storage/storage.ts'
import { type Differences, noteDifference } from './differences.ts'

/** The versions of a table that are compared. */
export interface ComparedVersions {
  tableId: string
  from: number
  to: number
}

/** Differences of one file that are noted; a line that is missing moves all that follow. */
const differencesOfFileMax = 10

/** Holds the log files of versions against the lines that the database has, in the memory of a few lines. */
export async function compareCommits(
  { copyPool, folder }: { copyPool: Pool; folder: Folder },
  { tableId, from, to }: ComparedVersions,
  differences: Differences,
): Promise<void> {
  const range = { tableId, after: beforeVersion(from), to }
  const rows = await copyOut(copyPool, allLogLines(range, { withVersions: true }))
  const ours = oneByOne(readRows(rows))
  try {
    let next = await ours.next()
    for (let version = from; version <= to; version += 1) {
      const file = commitFileName(version)
      const note = noter(differences, { version, file: fileInTable(file) })
      let number = 0
      for await (const theirs of linesOf(folder, file, note)) {
        number = theirs.number
        const own = takes(next.value, version)
        if (own === undefined) note({ line: number, theirs: theirs.text, message: notHere })
        else {
          if (own !== theirs.text.trim()) {
            note({ line: number, ours: own, theirs: theirs.text, message: 'the line is another' })
          }
          next = await ours.next()
        }
      }
      for (
        let own = takes(next.value, version);
        own !== undefined;
        own = takes(next.value, version)
      ) {
        number += 1
        note({ line: number, ours: own, message: 'the line is missing in the log' })
        next = await ours.next()
      }
    }
  } finally {
    rows.destroy()
  }
}

const notHere = 'the line is in the log alone'

type Note = (difference: { line?: number; message: string; ours?: string; theirs?: string }) => void

function noter(differences: Differences, place: { version: number; file: string }): Note {
  let count = 0
  return (difference) => {
    count += 1
    if (count <= differencesOfFileMax) noteDifference(differences, { ...place, ...difference })
  }
}

interface OwnLine {
  version: number
  line: string
}

function takes(own: OwnLine | undefined, version: number): string | undefined {
  return own?.version === version ? own.line : undefined
}

async function* oneByOne(
  batches: AsyncIterable<string[][]>,
): AsyncGenerator<OwnLine, undefined, undefined> {
  for await (const batch of batches) {
    for (const [version, line = ''] of batch) yield { version: Number(version), line }
  }
  return undefined
}

/** The lines of a file; one that cannot be read is a difference, and has none. */
async function* linesOf(folder: Folder, file: string, note: Note) {
  try {
    for await (const lines of readLines(folder, file)) yield* lines
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'delta-log-invalid') throw error
    note({ message: error.message })
  }
}
