import type { Tx } from '../../database/connect.ts'
import type { ActionOf } from '../../delta/actions.ts'
import { exactBody } from '../../delta/json.ts'
import { isLong } from '../../delta/longs.ts'
import { type RangeFile, sharedRange } from '../../delta/rules/row-ids.ts'
import { parseAction } from '../proposal.ts'
import { tracksRowsAfter } from '../row-ids.ts'
import type { Head } from '../rows.ts'
import type { Proposal } from '../unit.ts'
import type { StageOf } from './live-file.ts'
import { countStagedWithoutRowIds, keepRowIds, listSharedRows } from './row-id-queries.ts'
import type { StagedFiles, StagedRowIds, Violations } from './staged-files.ts'

/** Staged files and the table that they are for, which is locked. */
export interface SurveyedFiles {
  proposal: Proposal
  staged: StagedFiles
  head: Head
}

/** The same, with what tells the place in the body of a line of the log file. */
export interface PlacedFiles {
  files: SurveyedFiles
  indexOf: (position: number) => number
}

/** Files of the commit that tell the same rows; none where the table does not track its rows. */
export async function judgeSharedRows(
  tx: Tx,
  of: StageOf,
  { files, indexOf }: PlacedFiles,
): Promise<Violations> {
  const { proposal, staged, head } = files
  if (!staged.tellsRowIds.adds || !tracksRowsAfter(proposal.actions, head)) {
    return { list: [], count: 0 }
  }
  const rows = await listSharedRows(tx, of)
  const list = rows.map(({ position, line, positionBefore, lineBefore }) =>
    sharedRange(rangeFile(line, indexOf(position)), rangeFile(lineBefore, indexOf(positionBefore))),
  )
  return { list, count: rows[0]?.count ?? 0 }
}

function rangeFile(line: string, index: number): RangeFile {
  const { path, baseRowId } = exactBody(parseAction(line) as ActionOf<'add'>)
  return { index, path, from: baseRowId ?? 0 }
}

/**
 * Counts the row ids that the files are to be given. Some may be live and keep theirs: then `keeps`. `numFilesWithout`
 * is how many live files lack them, where the commit depends on it.
 */
export async function surveyRowIds(
  tx: Tx,
  of: StageOf,
  {
    files: { proposal, staged, head },
    keeps,
    numFilesWithout,
  }: { files: SurveyedFiles; keeps: boolean; numFilesWithout: number },
): Promise<StagedRowIds> {
  const tracks = tracksRowsAfter(proposal.actions, head)
  const { numRowIds } = staged
  const assign = () => (keeps && isLong(numRowIds) ? keepRowIds(tx, of) : numRowIds)
  return {
    numAssigned: tracks ? await assign() : undefined,
    numFilesWithout: numFilesWithout > 0 ? await countStagedWithoutRowIds(tx, of) : 0,
  }
}
