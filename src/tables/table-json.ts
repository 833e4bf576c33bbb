import type { Totals } from '../commits/rows.ts'
import { actionBody } from '../delta/json.ts'
import { memberTexts, objectText } from '../http/json-text.ts'
import { mirrorState } from '../mirror/rules.ts'
import type { TableRow } from './queries.ts'

/**
 * The table as it is answered, with `more` behind. Its protocol and metadata stand in it token for token as in the log.
 */
export function tableText(table: TableRow, more: Record<string, unknown> = {}): string {
  const { id, name, location, version, historyFrom } = table
  const { inCommitTimestamp, createdAt, droppedAt } = table
  return objectText({
    ...memberTexts({ id, name, location, version, historyFrom, inCommitTimestamp }),
    protocol: actionBody(table.protocol),
    metadata: actionBody(table.metadata),
    statistics: statisticsText(table),
    ...memberTexts({
      mirror: mirrorState(table),
      createdAt,
      droppedAt: droppedAt ?? undefined,
      ...more,
    }),
  })
}

/** Counts over live files; the number of rows is only known when every file tells its own. */
export function statisticsText(totals: Totals): string {
  const { numFiles, sizeInBytes, numFilesWithoutRecords } = totals
  const numRecords = numFilesWithoutRecords > 0 ? null : totals.numRecords
  return objectText(memberTexts({ numFiles, sizeInBytes, numRecords }))
}
