import { setImmediate } from 'node:timers/promises'
import type { Db, Pool } from '../database/connect.ts'
import { copyOut, readRows } from '../database/copy-out.ts'
import type { PredicateColumn } from '../delta/predicates/columns.ts'
import {
  appendChunks,
  collectChunks,
  enteredColumns,
  type FileSet,
  noteEnds,
  placeOfColumn,
} from './file-set.ts'
import { type Life, listBegun, listEnded, livesSince } from './queries.ts'

/** What of a table is to be scanned. */
export interface ScanTarget {
  tableId: string
  version: number
  /** Files that are live at the version. */
  numFiles: number
  columns: readonly PredicateColumn[]
}

/** Keeps what scans need to know of files in memory, within a bound. */
export interface FileCache {
  /** The files of a table at a version, and maybe others; undefined where they are too many to be kept. */
  open: (target: ScanTarget) => Promise<FileSet | undefined>
  bytes: () => number
  /** Forgets all of it, for a database that may have lost versions which are known here. */
  clear: () => void
}

/** Where the files are, and how much memory they may take. */
export interface FileCacheOptions {
  db: Db
  /** For COPY. */
  copyPool: Pool
  bytesMax: number
}

interface Entry {
  set: FileSet | undefined
  /** Settles when what was last asked for is done; loads of one table come one after the other. */
  work: Promise<unknown>
}

class TooLarge extends Error {}

/** More than so many new files, or ended ones, are not added to a set; it is loaded anew. */
const changesMax = 50_000
const pageFiles = 1000
/** Columns of a set at most, unless one scan asks for more. */
const columnsMax = 16
const tooLargeMax = 1000

/** What a file takes at least: its place, and in each column its flags and two ends. */
function bytesAtLeast({ numFiles, columns }: ScanTarget): number {
  return numFiles * (20 + 4 * columns.length)
}

function serves(set: FileSet, { version, columns }: ScanTarget): boolean {
  const isThere = set.base <= version && version <= set.version
  return isThere && columns.every((column) => placeOfColumn(set, column) !== -1)
}

export function createFileCache({ db, copyPool, bytesMax }: FileCacheOptions): FileCache {
  /** By table, the one that was used last at the end. */
  const entries = new Map<string, Entry>()
  /** Numbers of files that were too many, by table and columns. */
  const tooLarge = new Map<string, number>()
  let loadingBytes = 0
  let era = 0

  const bytes = () =>
    [...entries.values()].reduce((sum, { set }) => sum + (set?.bytes ?? 0), loadingBytes)

  function makeRoom(): void {
    for (const [tableId, { set }] of entries) {
      if (bytes() <= bytesMax) return
      if (set !== undefined) entries.delete(tableId)
    }
    if (bytes() > bytesMax) throw new TooLarge()
  }

  async function load(target: ScanTarget, known: FileSet | undefined): Promise<FileSet> {
    const columns = enteredColumns(
      [...target.columns, ...(known?.columns ?? []).map(({ column }) => column)].slice(
        0,
        Math.max(columnsMax, target.columns.length),
      ),
    )
    const isKept = known !== undefined && !isMostlyDead(known, target)
    const base = isKept ? Math.min(known.base, target.version) : target.version
    const version = Math.max(known?.version ?? 0, target.version)
    let ownBytes = 0
    const collector = collectChunks(columns, (more) => {
      ownBytes += more
      loadingBytes += more
      makeRoom()
    })
    try {
      const rows = await copyOut(copyPool, livesSince(target.tableId, { base, version }))
      for await (const some of readRows(rows)) {
        for (const row of some) collector.add(toLife(row))
        await setImmediate()
      }
      const empty = { base, version, columns, chunks: [], count: 0, bytes: 0 }
      return appendChunks(empty, collector.finish(), version)
    } finally {
      loadingBytes -= ownBytes
    }
  }

  /** The set with what has happened since; undefined when that is too much. */
  async function extend(set: FileSet, target: ScanTarget): Promise<FileSet | undefined> {
    const { tableId, version } = target
    if (isMostlyDead(set, target)) return undefined
    const ends = { from: set.version + 1, to: version, limit: changesMax }
    const ended = await listEnded(db, tableId, ends)
    if (ended.length === changesMax) return undefined
    const collector = collectChunks(set.columns, () => {})
    let after = { addedVersion: set.version, addedPosition: 2 ** 31 - 1 }
    for (let begun = 0; begun < changesMax; ) {
      const page = await listBegun(db, tableId, { after, to: version, limit: pageFiles })
      for (const life of page) collector.add(life)
      begun += page.length
      const last = page.at(-1)
      if (page.length < pageFiles || last === undefined) {
        noteEnds(set, ended)
        return appendChunks(set, collector.finish(), version)
      }
      after = last
    }
    return undefined
  }

  async function renew(entry: Entry, target: ScanTarget): Promise<FileSet> {
    const { set } = entry
    const startedIn = era
    if (set !== undefined && serves(set, target)) return set
    const grows = set !== undefined && serves({ ...set, version: target.version }, target)
    const renewed = (grows && (await extend(set, target))) || (await load(target, set))
    if (startedIn !== era) return renewed
    entry.set = renewed
    entries.delete(target.tableId)
    entries.set(target.tableId, entry)
    makeRoom()
    return renewed
  }

  function useEntry(tableId: string): Entry {
    const entry = entries.get(tableId) ?? { set: undefined, work: Promise.resolve() }
    entries.delete(tableId)
    entries.set(tableId, entry)
    return entry
  }

  /** Notes that files were too many, so that it is not tried again before there are fewer. */
  function giveUp(tableId: string, kind: string, numFiles: number): void {
    entries.delete(tableId)
    if (tooLarge.size === tooLargeMax) tooLarge.clear()
    tooLarge.set(kind, numFiles)
  }

  async function open(target: ScanTarget): Promise<FileSet | undefined> {
    const { tableId, numFiles, columns } = target
    const kind = JSON.stringify([tableId, ...columns.map(({ physicalPath }) => physicalPath)])
    const isTooLarge = numFiles >= (tooLarge.get(kind) ?? Infinity)
    if (isTooLarge || bytesAtLeast(target) > bytesMax) return undefined
    const entry = useEntry(tableId)
    if (entry.set !== undefined && serves(entry.set, target)) return entry.set
    const renewed = entry.work.then(() => renew(entry, target))
    entry.work = renewed.catch(() => {})
    try {
      return await renewed
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error
      giveUp(tableId, kind, numFiles)
      return undefined
    }
  }

  function clear(): void {
    era += 1
    entries.clear()
    tooLarge.clear()
  }

  return { open, bytes, clear }
}

/** Whether most files of a set have been removed, so that it were better without them. */
function isMostlyDead({ count }: FileSet, { numFiles }: ScanTarget): boolean {
  return count > 2 * numFiles + changesMax
}

function toLife([addedVersion, addedPosition, removedVersion, add = '']: string[]): Life {
  return {
    addedVersion: Number(addedVersion),
    addedPosition: Number(addedPosition),
    removedVersion: removedVersion ? Number(removedVersion) : null,
    add,
  }
}
