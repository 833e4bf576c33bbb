import type { Tx } from '../../database/connect.ts'
import { pathKey } from '../../delta/conflicts/winner.ts'
import type { BatchState, WinnerCommit } from '../ledger.ts'
import { parseAction } from '../proposal.ts'
import { placeParts } from '../touched.ts'
import type { Part } from '../unit.ts'
import { judgeFiles } from './judge-files.ts'
import type { StageOf } from './live-file.ts'
import {
  closeStaged,
  declareStaged,
  fetchStaged,
  findStagedPaths,
  type StagedRow,
  sumRemoved,
  sumReplaced,
} from './queries.ts'
import { dropViolations, noFiles, noteViolations } from './rules.ts'
import type { StageSurvey, Violations } from './staged-files.ts'
import {
  judgeSharedRows,
  type PlacedFiles,
  type SurveyedFiles,
  surveyRowIds,
} from './survey-row-ids.ts'

/** Holds the files that are staged for the parts against their tables, which must be locked, and their winners. */
export async function surveyStages(
  tx: Tx,
  parts: readonly Part[],
  { heads, winners, filesWithoutRowIds }: BatchState,
): Promise<{ tableId: string; survey: StageSurvey }[]> {
  const surveys: { tableId: string; survey: StageSurvey }[] = []
  for (const { tableId, proposal } of placeParts(parts, heads)) {
    const head = heads.find(({ id }) => id === tableId)
    const { staged, readVersion = Number.POSITIVE_INFINITY } = proposal
    if (staged === undefined || head === undefined) continue
    const of = { stage: staged.stage.table, tableId }
    const own = winners?.filter(({ row }) => row.tableId === tableId && row.version > readVersion)
    const files = { proposal, staged, head }
    const { violations, replaces } = await judgeStage(tx, of, files)
    const removed = staged.numRemoves > 0 ? await sumRemoved(tx, of) : noFiles
    const replaced = replaces ? await sumReplaced(tx, of) : noFiles
    const contested = await findContested(tx, of, own ?? [])
    const numFilesWithout = filesWithoutRowIds.find((one) => one.tableId === tableId)?.count ?? 0
    const keeps = replaces && violations.count === 0
    const rowIds = await surveyRowIds(tx, of, { files, keeps, numFilesWithout })
    surveys.push({ tableId, survey: { removed, replaced, violations, rowIds, contested } })
  }
  return surveys
}

/** Files that are judged at once. */
const pageMax = 2000

/** What the files break, and whether any of them may be live. */
async function judgeStage(
  tx: Tx,
  of: StageOf,
  files: SurveyedFiles,
): Promise<{ violations: Violations; replaces: boolean }> {
  const indexOf = indexFinder(files)
  const { violations, replaces } = await judgeUnderLock(tx, of, { files, indexOf })
  const shared = await judgeSharedRows(tx, of, { files, indexOf })
  noteViolations(violations, shared.list)
  violations.count += shared.count - shared.list.length
  return { violations, replaces }
}

/**
 * Adds to what the files were found to break when they came in what could not be seen then. When the table has been
 * given another protocol or metadata since, all of them are judged anew.
 */
async function judgeUnderLock(
  tx: Tx,
  of: StageOf,
  { files: { proposal, staged, head }, indexOf }: PlacedFiles,
): Promise<{ violations: Violations; replaces: boolean }> {
  const { against, found } = staged.judged
  const isCurrent =
    against?.protocolJson === head.protocolJson && against.metadataJson === head.metadataJson
  const { mayRepeat: repeated, hasLate: late, tellsRowIds } = staged
  const live = head.numFiles > 0
  const violations: Violations = isCurrent
    ? { list: [...found.list], count: found.count }
    : { list: [], count: 0 }
  if (isCurrent && !repeated && !late && !live) return { violations, replaces: false }
  const contradicted = live && tellsRowIds.removes
  await declareStaged(tx, of, isCurrent ? { repeated, late, live, contradicted } : 'all')
  let replaces = false
  const changes = proposal.actions.filter(({ kind }) => kind === 'metaData' || kind === 'protocol')
  for await (const rows of pagesByPath(tx)) {
    const live = new Map(rows.flatMap((row) => (row.isLive ? [[row.path, row] as const] : [])))
    const placed = rows.map((row) => ({
      action: parseAction(row.line),
      index: indexOf(row.position),
    }))
    const findLiveFile = (path: string) => {
      const row = live.get(path)
      return row && { deletionVectorId: row.liveVectorId, add: row.liveAdd }
    }
    replaces ||= live.size > 0
    dropViolations(violations, new Set(placed.map(({ index }) => index)))
    noteViolations(violations, judgeFiles(placed, { head, changes, findLiveFile }))
  }
  await closeStaged(tx)
  return { violations, replaces }
}

/** The staged files of the cursor, with all files of a path on one page, unless they alone are more than one. */
async function* pagesByPath(tx: Tx): AsyncGenerator<StagedRow[]> {
  let rest: StagedRow[] = []
  for (let more = true; more; ) {
    const page = await fetchStaged(tx, pageMax)
    more = page.length === pageMax
    const rows = [...rest, ...page]
    const last = rows.at(-1)?.path
    const whole = more ? rows.findIndex(({ path }) => path === last) : rows.length
    const end = whole === 0 ? rows.length : whole
    rest = rows.slice(end)
    if (end > 0) yield rows.slice(0, end)
  }
}

/** Finds the place in the body of a line of the log file: a commitInfo of the writer's takes none. */
function indexFinder({ proposal: { actions }, staged: { places } }: SurveyedFiles) {
  const infos = places.flatMap(({ index }, at) => (actions[at]?.kind === 'commitInfo' ? index : []))
  return (position: number) =>
    infos.reduce((index, info) => (info <= index ? index + 1 : index), position - 1)
}

async function findContested(
  tx: Tx,
  of: StageOf,
  winners: readonly WinnerCommit[],
): Promise<StageSurvey['contested']> {
  const paths = winners.flatMap(({ actions }) =>
    actions().flatMap(({ kind, body }) => (kind === 'remove' ? pathKey(body.path) : [])),
  )
  const rows = await findStagedPaths(tx, of, paths)
  const ofKind = (kind: string) =>
    new Set(rows.flatMap((row) => (row.kind === kind ? row.path : [])))
  return { added: ofKind('add'), removed: ofKind('remove') }
}
