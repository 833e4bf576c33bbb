import { setImmediate } from 'node:timers/promises'
import type { Action, ActionOf, AddFile, Exact, Long, RemoveFile } from '../../delta/actions.ts'
import { deletionVectorId } from '../../delta/deletion-vectors.ts'
import { exactBody } from '../../delta/json.ts'
import { addLongs, isLong } from '../../delta/longs.ts'
import { loggedKey, parsePath } from '../../delta/paths.ts'
import { rowIdPlaces } from '../../delta/row-ids.ts'
import { dependsOnNextCommit } from '../../delta/rules/row-ids.ts'
import { physicalRecordCount, recordCount } from '../../delta/statistics.ts'
import { tooManyActions } from '../proposal.ts'
import type { Head } from '../rows.ts'
import { judgeFiles } from './judge-files.ts'
import { addFile, noFiles, noteViolations } from './rules.ts'
import type { Stage, StagedAction } from './stage.ts'
import type { Place, StagedFiles } from './staged-files.ts'

/** The actions of a commit, all in memory or the files of them staged. */
export interface Collected {
  actions: readonly Action[]
  staged?: StagedFiles
}

/** Takes in the actions of a commit, in order. While they are few they stay in memory. */
export interface Intake {
  /** Throws a problem when they become too many. */
  take: (actions: readonly Action[]) => Promise<void>
  finish: () => Promise<Collected>
  /** Drops the stage, if there is one. */
  abandon: () => Promise<void>
}

export interface IntakeOptions {
  /** Actions of a commit, and those of them that are held in memory. */
  actionsMax: number
  heldActionsMax: number
  /** The table as it is now, so that most faults are found before it is locked. */
  readHead: () => Promise<Head>
  createStage: () => Promise<Stage>
}

/** Characters of actions that are held in memory. */
const heldCharactersMax = 16 * 1024 * 1024
/** Actions that are taken without a pause for other requests. */
const sliceMax = 1000

export function openIntake(options: IntakeOptions): Intake {
  const { actionsMax, heldActionsMax, readHead, createStage } = options
  const held: Action[] = []
  let heldCharacters = 0
  let count = 0
  let staging: Staging | undefined

  return {
    async take(actions) {
      count += actions.length
      if (count > actionsMax) throw tooManyActions(`at least ${count} actions`, actionsMax)
      if (staging !== undefined) return staging.take(actions)
      for (const action of actions) {
        held.push(action)
        heldCharacters += action.json.length
      }
      const isSmall = held.length <= heldActionsMax && heldCharacters <= heldCharactersMax
      if (isSmall) return
      const head = await readHead()
      staging = createStaging(await createStage(), head)
      await staging.take(held.splice(0))
    },
    finish: async () => staging?.finish() ?? { actions: held },
    abandon: async () => staging?.drop(),
  }
}

interface Staging {
  take: (actions: readonly Action[]) => Promise<void>
  finish: () => Promise<Collected>
  drop: () => Promise<void>
}

type FileAction = ActionOf<'add'> | ActionOf<'remove'>

interface PlacedFile extends Place {
  action: FileAction
}

/** Judges files as they come and puts them aside; keeps the other actions. */
function createStaging(stage: Stage, head: Head): Staging {
  const others: Action[] = []
  const places: Place[] = []
  const changes: Action[] = []
  const sums = { adds: noFiles, numRemoves: 0, numRowIds: 0 as Long, changesData: false }
  const tellsRowIds = { adds: false, removes: false }
  const paths = new Set<string>()
  let mayRepeat = false
  let hasLate = false
  const judged: StagedFiles['judged'] = { against: head, found: { list: [], count: 0 } }
  let next: Place = { index: 0, position: 1 }

  /** Sorts out the files of a slice; the others are kept. */
  function sort(actions: readonly Action[]): PlacedFile[] {
    const files: PlacedFile[] = []
    for (const action of actions) {
      const place = next
      const takesLine = action.kind !== 'commitInfo'
      next = { index: place.index + 1, position: place.position + (takesLine ? 1 : 0) }
      if (action.kind === 'add' || action.kind === 'remove') files.push({ action, ...place })
      else keep(action, place)
    }
    return files
  }

  function keep(action: Action, place: Place): void {
    if (others.length === othersMax) {
      throw tooManyActions('more actions that are no add or remove', othersMax)
    }
    others.push(action)
    places.push(place)
    if (action.kind !== 'metaData' && action.kind !== 'protocol') return
    changes.push(action)
    if (sums.adds.numFiles + sums.numRemoves > 0) judged.against = undefined
  }

  function note(row: StagedAction): void {
    const { kind, size, numRecords, numRowIds, baseRowIdAt, rowVersionAt } = row
    const tellsIds = baseRowIdAt === 0 || rowVersionAt === 0
    if (kind === 'remove') {
      sums.numRemoves += 1
      tellsRowIds.removes ||= tellsIds
      return
    }
    sums.adds = addFile(sums.adds, size ?? 0, numRecords)
    tellsRowIds.adds ||= tellsIds
    row.numRowIdsBefore = longOrNull(sums.numRowIds)
    if (baseRowIdAt !== 0) sums.numRowIds = addLongs(sums.numRowIds, numRowIds ?? 0)
  }

  async function takeSlice(actions: readonly Action[]): Promise<void> {
    const files = sort(actions)
    const rows = files.map((file) => toRow(file, head))
    if (judged.against !== undefined) {
      const context = { head, changes, findLiveFile: () => undefined }
      const early = files.filter((_, at) => !rows[at]?.isLate)
      noteViolations(judged.found, judgeFiles(early, context))
    }
    for (const row of rows) {
      note(row)
      hasLate ||= row.isLate
      mayRepeat ||= paths.has(row.path)
      if (!mayRepeat) paths.add(row.path)
    }
    if (paths.size > comparedPathsMax) mayRepeat = true
    if (mayRepeat) paths.clear()
    sums.changesData ||= files.some(({ action }) => action.body.dataChange)
    await stage.write(rows)
  }

  return {
    async take(actions) {
      for (let from = 0; from < actions.length; from += sliceMax) {
        await takeSlice(actions.slice(from, from + sliceMax))
        if (from + sliceMax < actions.length) await setImmediate()
      }
    },
    async finish() {
      await stage.flush()
      const numLines = next.position - 1
      return {
        actions: others,
        staged: { stage, places, numLines, ...sums, tellsRowIds, mayRepeat, hasLate, judged },
      }
    },
    drop: stage.drop,
  }
}

const othersMax = 100_000
/** Beyond so many paths PostgreSQL finds those that are there twice. */
const comparedPathsMax = 100_000

/** Rows of illegal actions are never committed, but must be storable. */
function toRow({ action, position }: PlacedFile, head: Head): StagedAction {
  const { kind, json: line } = action
  const { path, deletionVector } = action.body
  const { key } = parsePath(path)
  const imported = key === undefined ? loggedKey(path) : undefined
  const body = isExact(action.body) ? action.body : exactBody(action)
  const places = rowIdPlaces(action)
  const row = {
    position,
    kind,
    path: key ?? imported ?? '',
    deletionVectorId: deletionVectorId(deletionVector)?.replaceAll('\0', '') ?? null,
    baseRowId: longOrNull(body.baseRowId),
    baseRowIdAt: places.baseRowId,
    rowVersion: longOrNull(body.defaultRowCommitVersion),
    rowVersionAt: places.defaultRowCommitVersion,
    line,
  }
  const numRowIdsBefore = null
  // What another writer brought into the table goes on under its name.
  const isLate = imported !== undefined
  if (action.kind === 'remove') {
    return { ...row, isLate, size: null, numRecords: null, numRowIds: null, numRowIdsBefore }
  }
  const add = body as Exact<AddFile>
  const numRowIds = longOrNull(physicalRecordCount(add))
  return {
    ...row,
    // It may be in the table with its deletion vector.
    isLate: isLate || Boolean(deletionVector) || dependsOnNextCommit(add, head),
    size: longOrNull(add.size),
    numRecords: deletionVector ? longOrNull(recordCount(add)) : numRowIds,
    numRowIds,
    numRowIdsBefore,
  }
}

/** A long that was rounded when it was parsed is beyond the numbers that are safe. */
function isExact(body: AddFile | RemoveFile): boolean {
  const { size, deletionVector, baseRowId, defaultRowCommitVersion } = body
  const longs = [size, deletionVector?.cardinality, baseRowId, defaultRowCommitVersion]
  return longs.every((long) => Number.isSafeInteger(long ?? 0))
}

function longOrNull(value: Long | null | undefined): Long | null {
  return isLong(value) ? value : null
}
