/** Which versions of a table the files of its log tell, and from which files they are read. */
import { commitFileName, parseLogFileName } from './log-files.ts'

/** A file of the log, as its folder tells of it. */
export interface ListedFile {
  name: string
  /** In bytes. */
  size: number
  /** Milliseconds since 1970. */
  modifiedAt: number
}

/** What leads to the snapshot that a history begins with: a checkpoint of one or more files, or commits. */
export type BaseSource =
  | { kind: 'checkpoint'; version: number; files: readonly ListedFile[] }
  /** A commit, or several in one file. Holds what came after the source before it. */
  | { kind: 'commits'; version: number; files: readonly ListedFile[] }

/** A history as it can be read. */
export interface LogHistory {
  /** The oldest version with a snapshot. */
  from: number
  newest: number
  /** From which the snapshot at `from` is read, in order; none where the commits begin at version 0. */
  base: readonly BaseSource[]
  /** Each version's commit, from `from` or, where that is not there, the version after it. */
  commits: readonly ListedFile[]
  commitsFrom: number
}

/** Why a log cannot be read. `file` is the one that is missing or wrong. */
export interface HistoryFault {
  file: string
  message: string
}

/** The files of a log by what they are for. */
interface SortedFiles {
  commits: Map<number, ListedFile>
  /** Whole checkpoints by version. */
  checkpoints: Map<number, readonly ListedFile[]>
  /** Commits of several versions in one file, by the newest of them; the one that reaches back furthest. */
  compactions: Map<number, { from: number; file: ListedFile }>
  newest: number
}

/**
 * Chooses what a history is read from: the commits from version 0, where all of them are there; else those behind the
 * oldest snapshot from which no commit is missing. What points to the newest checkpoint is not asked: it may be wrong.
 */
export function chooseHistory(
  files: readonly ListedFile[],
): { history: LogHistory; fault?: undefined } | { history?: undefined; fault: HistoryFault } {
  const sorted = sortFiles(files)
  const { commits, newest } = sorted
  if (newest < 0) {
    const message = 'there is no commit and no checkpoint in _delta_log'
    return { fault: { file: commitFileName(0), message } }
  }
  let first = newest + 1
  while (commits.has(first - 1)) first -= 1
  if (first === 0) return { history: historyOf(sorted, 0, []) }
  const reached = reachSnapshots(sorted)
  for (let from = first - 1; from <= newest; from += 1) {
    if (reached.has(from)) return { history: historyOf(sorted, from, wayTo(from, reached)) }
  }
  const message = `the commit is missing, and no checkpoint from version ${first - 1} on stands in for it`
  return { fault: { file: commitFileName(first - 1), message } }
}

/** The newest whole checkpoint that is no newer than a version. */
export function newestCheckpoint(
  files: readonly ListedFile[],
  version: number,
): BaseSource | undefined {
  const found = [...wholeCheckpoints(files)].filter(([own]) => own <= version)
  const [newest] = found.sort(([a], [b]) => b - a)
  return newest && { kind: 'checkpoint', version: newest[0], files: newest[1] }
}

function sortFiles(files: readonly ListedFile[]): SortedFiles {
  const commits: SortedFiles['commits'] = new Map()
  const compactions: SortedFiles['compactions'] = new Map()
  for (const file of files) {
    const named = parseLogFileName(file.name)
    if (named?.kind === 'commit') commits.set(named.version, file)
    if (named?.kind !== 'compaction') continue
    const { version, from } = named
    if (from < (compactions.get(version)?.from ?? version)) compactions.set(version, { from, file })
  }
  const checkpoints = wholeCheckpoints(files)
  const versions = [...commits.keys(), ...checkpoints.keys()]
  const newest = versions.reduce((most, version) => Math.max(most, version), -1)
  return { commits, checkpoints, compactions, newest }
}

/** The checkpoints of which every file is there, one a version, that of one file before one of many. */
function wholeCheckpoints(files: readonly ListedFile[]): SortedFiles['checkpoints'] {
  const sets = new Map<string, { version: number; parts: number; files: ListedFile[] }>()
  for (const file of files) {
    const named = parseLogFileName(file.name)
    if (named?.kind !== 'checkpoint') continue
    const { version } = named
    const parts = named.form === 'part' ? named.parts : 1
    const name = named.form === 'part' ? `${version}/${parts}` : file.name
    const known = sets.get(name) ?? { version, parts, files: [] }
    known.files.push(file)
    sets.set(name, known)
  }
  const whole = [...sets.values()].filter((set) => set.files.length === set.parts)
  // Of a repeated version the last stays.
  const byParts = whole.sort((a, b) => b.parts - a.parts)
  return new Map(byParts.map(({ version, files: own }) => [version, own]))
}

/** How a snapshot is reached: its source, and the version before that source. */
type Reached = Map<number, { source: BaseSource; before: number | undefined }>

/** Every version whose snapshot can be made of the files. */
function reachSnapshots({ commits, checkpoints, compactions, newest }: SortedFiles): Reached {
  const reached: Reached = new Map()
  const isReached = (version: number) => version === -1 || reached.has(version)
  const versions = new Set([...commits.keys(), ...checkpoints.keys(), ...compactions.keys()])
  for (const version of [...versions].sort((a, b) => a - b)) {
    if (version > newest) break
    const checkpoint = checkpoints.get(version)
    const commit = commits.get(version)
    const compaction = compactions.get(version)
    if (checkpoint !== undefined) {
      const source = { kind: 'checkpoint', version, files: checkpoint } as const
      reached.set(version, { source, before: undefined })
    } else if (commit !== undefined && isReached(version - 1)) {
      const source = { kind: 'commits', version, files: [commit] } as const
      reached.set(version, { source, before: version - 1 })
    } else if (compaction !== undefined && isReached(compaction.from - 1)) {
      const source = { kind: 'commits', version, files: [compaction.file] } as const
      reached.set(version, { source, before: compaction.from - 1 })
    }
  }
  return reached
}

function wayTo(version: number, reached: Reached): BaseSource[] {
  const way: BaseSource[] = []
  let at: number | undefined = version
  while (at !== undefined && at >= 0) {
    const step = reached.get(at)
    if (step !== undefined) way.unshift(step.source)
    at = step?.before
  }
  return way
}

function historyOf(
  { commits, newest }: SortedFiles,
  from: number,
  base: readonly BaseSource[],
): LogHistory {
  const commitsFrom = commits.has(from) ? from : from + 1
  const own: ListedFile[] = []
  for (let version = commitsFrom; version <= newest; version += 1) {
    const commit = commits.get(version)
    if (commit !== undefined) own.push(commit)
  }
  return { from, newest, base, commits: own, commitsFrom }
}
