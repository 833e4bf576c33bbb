import type { ActionOf, Long } from '../../delta/actions.ts'
import type { VersionTime } from '../../delta/commit-times.ts'
import { importFault, readFault } from '../../delta/import-faults.ts'
import { tellsTimes } from '../../delta/in-commit-timestamps.ts'
import { parseExact } from '../../delta/json.ts'
import { commitFileName } from '../../delta/log-files.ts'
import type { BaseSource, ListedFile, LogHistory } from '../../delta/log-history.ts'
import { isLong } from '../../delta/longs.ts'
import { rowTrackingDomain } from '../../delta/row-ids.ts'
import { invalidLog } from '../../delta-log/invalid-log.ts'
import { fileInTable } from '../../delta-log/log-folder.ts'
import { readCheckpoint } from '../../delta-log/read-checkpoint.ts'
import { type PlacedAction, type ReadMeter, readCommits } from '../../delta-log/read-commits.ts'
import type { Folder } from '../../storage/storage.ts'
import { logRows } from './log-rows.ts'

/** What a history comes to, besides its actions. */
export interface ReadHistory extends InForce {
  /** One for each version from that of the oldest snapshot on. */
  times: VersionTime[]
  actions: number
}

/** How far the reading has come; all is read when `bytes` are `bytesTotal`, and stored from then on. */
export interface ReadProgress {
  bytes: number
  bytesTotal: number
  actions: number
}

export interface ReadOptions {
  folder: Folder
  history: LogHistory
  /** Takes rows as `logRows` makes them. */
  write: (rows: string) => Promise<void>
  onProgress?: ((progress: ReadProgress) => void) | undefined
  /** What is in force before the history, where that continues a table. */
  before?: InForce
}

/** What is in force on a version. */
export interface InForce {
  protocol: ActionOf<'protocol'>
  metadata: ActionOf<'metaData'>
  rowIdHighWaterMark: Long | null
}

/** Counts the bytes of files as they are read; of what is passed over, at the end of its file. */
class ReadGauge implements ReadMeter {
  #bytesTotal: number
  #bytes = 0
  /** Where the file at hand ends, with what was found in it. */
  #end = 0

  constructor(files: readonly ListedFile[]) {
    this.#bytesTotal = files.reduce((sum, { size }) => sum + size, 0)
  }

  /** The file at hand is the next one. */
  begin({ size }: ListedFile): void {
    this.#bytes = this.#end
    this.#end += size
  }

  // As functions of their own they can be handed on.
  readonly read = (bytes: number): void => {
    this.#bytes = Math.min(this.#end, this.#bytes + bytes)
  }

  readonly find = (bytes: number): void => {
    this.#end += bytes
    this.#bytesTotal += bytes
  }

  end(): void {
    this.#bytes = this.#bytesTotal
  }

  bytes(): { bytes: number; bytesTotal: number } {
    return { bytes: this.#bytes, bytesTotal: this.#bytesTotal }
  }
}

/** What is in force while a log is read. */
interface State {
  protocol?: ActionOf<'protocol'>
  metadata?: ActionOf<'metaData'>
  rowIdHighWaterMark: Long | null
  /** Of the version at hand. */
  toldTime?: number | undefined
  actions: number
}

/**
 * Reads a history and writes a row for each action. What leads to the oldest snapshot gets versions below it. Throws
 * `delta-log-invalid`.
 */
export async function readHistory(options: ReadOptions): Promise<ReadHistory> {
  const { folder, history, write, onProgress = () => {}, before } = options
  const { base, commits, from, commitsFrom } = history
  const state: State = { rowIdHighWaterMark: null, ...before, actions: 0 }
  const gauge = new ReadGauge([...base.flatMap((source) => source.files), ...commits])
  const times: VersionTime[] = []

  async function take(actions: readonly PlacedAction[], at: { version: number; file: string }) {
    const { version, file } = at
    const rows = actions.map((placed) => {
      const read = logRows(placed, { version, position: placed.position })
      const fault = read.fault ?? note(state, placed.action)
      if (fault !== undefined) {
        throw invalidLog({ file: fileInTable(file), line: placed.number, message: fault })
      }
      return read.fault === undefined ? read.rows : ''
    })
    await write(rows.join(''))
    state.actions += actions.length
    onProgress({ ...gauge.bytes(), actions: state.actions })
  }

  async function readSource(source: BaseSource, version: number, first: number): Promise<number> {
    let position = first
    for (const file of source.files) {
      const read = source.kind === 'checkpoint' ? readCheckpoint : readCommits
      gauge.begin(file)
      for await (const actions of read(folder, file.name, gauge)) {
        await take(
          actions.map((action) => ({ ...action, position: position++ })),
          { version, file: file.name },
        )
      }
    }
    return position
  }

  async function readCommit(file: ListedFile, version: number): Promise<void> {
    state.toldTime = undefined
    gauge.begin(file)
    for await (const actions of readCommits(folder, file.name, gauge)) {
      await take(actions, { version, file: file.name })
    }
    refuseIncomplete(state, file.name)
    const inCommitTimestamp = hasTimestamps(state) ? state.toldTime : undefined
    times.push({ modifiedAt: file.modifiedAt, inCommitTimestamp })
  }

  // Places of one version must not be repeated, and those of the base all become those of the version before it.
  let position = 1
  for (const [index, source] of base.entries()) {
    position = await readSource(source, from - base.length + index, position)
  }
  const last = base.at(-1)?.files[0]
  if (last !== undefined) {
    refuseIncomplete(state, last.name)
    if (commitsFrom > from) {
      times.push({ modifiedAt: last.modifiedAt, inCommitTimestamp: undefined })
    }
  }
  for (const [index, file] of commits.entries()) await readCommit(file, commitsFrom + index)
  const { protocol, metadata } = refuseIncomplete(state, commitFileName(history.newest))
  const fault = importFault(protocol.body)
  if (fault !== undefined) {
    throw invalidLog({
      file: fileInTable(commits.at(-1)?.name ?? last?.name ?? ''),
      message: fault,
    })
  }
  gauge.end()
  onProgress({ ...gauge.bytes(), actions: state.actions })
  return { ...state, protocol, metadata, times }
}

function hasTimestamps({ metadata }: State): boolean {
  return metadata !== undefined && tellsTimes(metadata.body)
}

/** Notes what an action puts in force; answers what stands against reading on. */
function note(state: State, action: PlacedAction['action']): string | undefined {
  if (action.kind === 'protocol') {
    state.protocol = action
    return readFault(action.body)
  }
  if (action.kind === 'metaData') state.metadata = action
  if (action.kind === 'domainMetadata' && action.body.domain === rowTrackingDomain) {
    state.rowIdHighWaterMark = highWaterMarkOf(action.body)
  }
  if (action.kind === 'commitInfo') {
    const { inCommitTimestamp } = action.body
    if (Number.isSafeInteger(inCommitTimestamp)) state.toldTime ??= inCommitTimestamp as number
  }
  return undefined
}

function highWaterMarkOf({
  configuration,
  removed,
}: ActionOf<'domainMetadata'>['body']): Long | null {
  if (removed) return null
  try {
    const { rowIdHighWaterMark } = parseExact(configuration) as Record<string, unknown>
    return isLong(rowIdHighWaterMark) ? rowIdHighWaterMark : null
  } catch {
    return null
  }
}

function refuseIncomplete(
  { protocol, metadata }: State,
  file: string,
): { protocol: ActionOf<'protocol'>; metadata: ActionOf<'metaData'> } {
  if (protocol !== undefined && metadata !== undefined) return { protocol, metadata }
  const lacking = protocol === undefined ? 'protocol' : 'metaData'
  const message = `the table has no ${lacking} action here, without which it cannot be read`
  throw invalidLog({ file: fileInTable(file), message })
}
