import { memberTexts, objectText } from '../http/json-text.ts'
import type { EntryValue, WriteRow } from './rows.ts'

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

/** Line breaks of JSON stand between its tokens alone. */
function valueTexts({ json, contentType, bytes }: EntryValue): Record<string, string | undefined> {
  if (json !== null) return { value: json.replaceAll(/[\r\n]+/g, ' ') }
  if (bytes === null) return {}
  return memberTexts({ valueBase64: bytes.toString('base64'), contentType })
}

function timeText(time: number): string {
  return `"${new Date(time).toISOString()}"`
}
