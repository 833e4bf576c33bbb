import type { StoredCommit } from '../commits/history.ts'
import type { Db, Pool } from '../database/connect.ts'
import { actionBody } from '../delta/json.ts'
import type { Predicate } from '../delta/predicates.ts'
import { invalidRequest } from '../http/faults.ts'
import { memberTexts } from '../http/json-text.ts'
import type { Page } from '../http/lists.ts'
import { beforeFiles, type FilePlace, getActionInForce, listFiles } from '../snapshots/queries.ts'
import type { FileCache } from './file-cache.ts'
import { listAdds } from './queries.ts'
import { type ReadScan, readScan } from './read-scan.ts'
import type { Scan } from './schema.ts'
import {
  type FileSelection,
  type ScanCounts,
  selectFromDatabase,
  selectFromSet,
} from './select-files.ts'

/** What scans work with. */
export interface ScanContext {
  db: Db
  copyPool: Pool
  fileCache: FileCache
}

/** A scan that was asked for, and the commit whose version it shows unless it goes on from a place. */
export interface ScanRequest {
  tableId: string
  commit: StoredCommit
  scan: Scan
}

/** The place of a file in the answer to a scan of version `at`, and what all pages tell. */
export interface ScanPlace extends FilePlace, ScanCounts {
  at: number
}

/** Some files of a scan, as log lines; counts where the scan began here. */
interface FoundFiles {
  files: (FilePlace & { add: string })[]
  counts: ScanCounts | undefined
}

/** The page behind a place, or the first. Throws `invalid-request` where the scan does not fit the table. */
export async function readScanPage(
  context: ScanContext,
  request: ScanRequest,
  { place, limit }: { place: ScanPlace | undefined; limit: number },
): Promise<Page<ScanPlace>> {
  const { tableId, commit } = request
  const version = place?.at ?? commit.version
  const { predicate, trim } = await openScan(context.db, request, version)
  const asked = { tableId, version, after: place, limit: limit + 1 }
  const found = predicate
    ? await selectFiles(context, { ...asked, predicate }, commit.numFiles)
    : await readFiles(context.db, asked, commit.numFiles)
  const counts = found.counts ?? countsOf(place)
  const files = found.files.slice(0, limit)
  const last = found.files.length > limit ? files.at(-1) : undefined
  return {
    items: files.map(({ add }) => trim?.(add) ?? add),
    next: last && { ...counts, ...placeOf(last), at: version },
    members: memberTexts({ version, ...counts }),
  }
}

/** Whether a scan is of all files as they stand in the log, so that there is nothing to do but to send them. */
export function isPlain({ predicate, columns }: Scan): boolean {
  return predicate === undefined && columns === undefined
}

/** What a scan of all files counts. */
export function countsOfAll(numFiles: number): ScanCounts {
  return { numFiles, numMatched: numFiles, prunedByPartition: 0, prunedByStatistics: 0 }
}

/** What a scan of a version selects by. Throws `invalid-request` where it does not fit the table. */
export async function openScan(
  db: Db,
  { tableId, scan }: Pick<ScanRequest, 'tableId' | 'scan'>,
  version: number,
): Promise<Partial<ReadScan>> {
  if (isPlain(scan)) return {}
  const line = await getActionInForce(db, { tableId, version }, 'metaData')
  const { read, faults } = readScan(scan, JSON.parse(actionBody(line)))
  if (faults !== undefined) throw invalidRequest('body', faults)
  return read
}

async function readFiles(
  db: Db,
  { tableId, version, after, limit }: Omit<FileSelection, 'predicate'>,
  numFiles: number,
): Promise<FoundFiles> {
  const page = { after: after ?? beforeFiles, limit }
  const files = await listFiles(db, { tableId, version }, page)
  return { files, counts: after === undefined ? countsOfAll(numFiles) : undefined }
}

async function selectFiles(
  { db, copyPool, fileCache }: ScanContext,
  selection: FileSelection & { predicate: Predicate },
  numFiles: number,
): Promise<FoundFiles> {
  const { predicate, tableId, version } = selection
  const columns = [...predicate.partitionColumns, ...predicate.statisticsColumns]
  const set = await fileCache.open({ tableId, version, numFiles, columns })
  const { places, counts } = set
    ? await selectFromSet(set, selection)
    : await selectFromDatabase(copyPool, selection)
  return { files: await listAdds(db, tableId, places), counts }
}

function placeOf({ addedVersion, addedPosition }: FilePlace): FilePlace {
  return { addedVersion, addedPosition }
}

function countsOf(place: ScanPlace | undefined): ScanCounts {
  if (place === undefined) throw new Error('a scan that begins has counts')
  const { numFiles, numMatched, prunedByPartition, prunedByStatistics } = place
  return { numFiles, numMatched, prunedByPartition, prunedByStatistics }
}
