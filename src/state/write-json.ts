import { memberTexts, objectText } from '../http/json-text.ts'
import type { EntryValue, WriteRow } from './rows.ts'

/** What is told of a write, on one line; `more` where others of its revision follow. */
export function writeText(
  { revision, position, key, version, kind, isNew, ...row }: Omit<WriteRow, 'namespaceId'>,
  more: { kind?: boolean; more?: boolean } = {},
): string {
  return objectText({
    ...memberTexts({ revision, position, kind: more.kind ? kind : undefined, key, version }),
    created: kind === 'put' ? String(isNew) : undefined,
    ...valueTexts(row.value),
    metadata: row.metadata ?? undefined,
    updatedAt: timeText(row.updatedAt),
    expiresAt: row.expiresAt === null ? undefined : timeText(row.expiresAt),
    more: more.more ? 'true' : undefined,
  })
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
