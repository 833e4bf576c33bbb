import { memberTexts, objectText } from '../http/json-text.ts'
import type { OperationResult, StateResult } from './operations.ts'
import type { EntryRow, EntryValue } from './rows.ts'
import { refusedOperation } from './rules.ts'

/** The tag by which a version of an entry is known. */
export function etagOf({ version }: Pick<EntryRow, 'version'>): string {
  return `"${version}"`
}

/** A value as members of an object, JSON token for token. It was compacted when it came, so it is one line. */
export function valueTexts({ json, contentType, bytes }: EntryValue) {
  if (json !== null) return { value: json }
  if (bytes === null) return {}
  return memberTexts({ valueBase64: bytes.toString('base64'), contentType })
}

/** An entry with its value. */
export function entryText(namespace: string, entry: EntryRow): string {
  const { key, version, revision, value, metadata } = entry
  return objectText({
    ...memberTexts({ namespace, key, version, revision }),
    ...valueTexts(value),
    metadata: metadata ?? undefined,
    ...timeTexts(entry),
  })
}

/** What a write leaves, without its value. */
export function receiptText(namespace: string, entry: EntryRow): string {
  const { key, version, revision } = entry
  return objectText({
    ...memberTexts({ namespace, key, version, revision }),
    ...timeTexts(entry),
  })
}

/** What became of an entry that was deleted. */
export function deletionText(
  { namespace, revision }: StateResult,
  { key, version }: { key: string; version: number },
): string {
  return objectText(memberTexts({ namespace, key, version, revision }))
}

function timeTexts({ createdAt, updatedAt, expiresAt }: EntryRow) {
  return {
    createdAt: timeText(createdAt),
    updatedAt: timeText(updatedAt),
    expiresAt: expiresAt === null ? undefined : timeText(expiresAt),
  }
}

/** Epoch milliseconds in RFC 3339, as JSON. */
export function timeText(time: number): string {
  return `"${new Date(time).toISOString()}"`
}

/** What became of each operation of a proposal, with the status that it would have had by itself. */
export function resultsText({ namespace, results }: StateResult): string {
  return `[${results.map((result) => resultText(namespace, result)).join(',')}]`
}

function resultText(namespace: string, result: OperationResult): string {
  switch (result.kind) {
    case 'put': {
      const status = result.isNew ? '201' : '200'
      return `{"status":${status},${receiptText(namespace, result.entry).slice(1)}`
    }
    case 'get': {
      const { key, entry } = result
      if (entry === undefined) return missingText(namespace, key)
      return `{"status":200,${entryText(namespace, entry).slice(1)}`
    }
    case 'refused': {
      const { status, code, message, facts } = refusedOperation({ namespace, ...result })
      return JSON.stringify({ status, code, detail: message, ...facts })
    }
    default: {
      const { key, version } = result
      if (version === undefined) return missingText(namespace, key)
      return objectText(memberTexts({ status: 200, namespace, key, version }))
    }
  }
}

/** That there is no entry under a key. */
export function missingText(namespace: string, key: string): string {
  return JSON.stringify({ status: 404, code: 'entry-not-found', namespace, key })
}
