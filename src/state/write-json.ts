import { memberTexts, objectText } from '../http/json-text.ts'
import { timeText, valueTexts } from './entry-json.ts'
import type { WriteRow } from './rows.ts'

type ToldWrite = Omit<WriteRow, 'namespaceId'>

/** A write as the data of an event, on one line; `hasMore` where others of its revision follow. */
export function eventData(write: ToldWrite, hasMore: boolean): string {
  return objectText({ ...writeMembers(write), more: hasMore ? 'true' : undefined })
}

/** A write in the history of its key. */
export function historyText(write: ToldWrite): string {
  return objectText({ kind: JSON.stringify(write.kind), ...writeMembers(write) })
}

function writeMembers({ revision, position, key, version, kind, isNew, ...row }: ToldWrite) {
  return {
    ...memberTexts({ revision, position, key, version }),
    created: kind === 'put' ? String(isNew) : undefined,
    ...valueTexts(row.value),
    metadata: row.metadata ?? undefined,
    updatedAt: timeText(row.updatedAt),
    expiresAt: row.expiresAt === null ? undefined : timeText(row.expiresAt),
  }
}
