import type { OpenExport } from '../http/exports.ts'
import { memberTexts } from '../http/json-text.ts'
import { listName, type PagedList } from '../http/lists.ts'
import { allFiles, beforeFiles } from '../snapshots/queries.ts'
import {
  countsOfAll,
  isPlain,
  readScanPage,
  type ScanContext,
  type ScanRequest,
} from './scan-files.ts'
import { ScanPlace, summaryMembers } from './schema.ts'

/** What lists of scanned files are read with. */
export interface ScanListContext extends ScanContext {
  openExport: OpenExport
}

/**
 * The files of a scan as a list, which `within` names together with what is asked for. Where all files are wanted as
 * they stand in the log, their lines stream out of the database.
 */
export function scanList(
  context: ScanListContext,
  within: string,
  request: ScanRequest,
): PagedList<typeof ScanPlace> {
  const { tableId, commit, scan } = request
  return {
    name: listName(`${within}/${tableId}`, [
      scan.version,
      scan.timestamp,
      scan.predicate,
      scan.columns,
    ]),
    position: ScanPlace,
    readPage: (place, limit) => readScanPage(context, request, { place, limit }),
    summary: { header: 'scan-summary', members: summaryMembers },
    ...(isPlain(scan) && {
      openAll: (place) => {
        const version = place?.at ?? commit.version
        return context.openExport(allFiles({ tableId, version }, place ?? beforeFiles))
      },
      membersOfAll: (place) => {
        const { at: version, numFiles } = place ?? { at: commit.version, ...commit }
        return memberTexts({ version, ...countsOfAll(numFiles) })
      },
    }),
  }
}
