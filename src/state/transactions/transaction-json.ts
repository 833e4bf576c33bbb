import { memberTexts, objectText } from '../../http/json-text.ts'
import { entryText, missingText, valueTexts } from '../entry-json.ts'
import type { OpenTransaction } from './open-transaction.ts'
import type { StateTransactionRow } from './queries.ts'
import { type RunResult, type Seen, versionOf } from './run-operations.ts'

/** A transaction; one that is open here with what it has in memory. */
export function stateTransactionText(row: StateTransactionRow, open?: OpenTransaction): string {
  const { state, createdAt, expiresAt, endedAt } = row
  const isActive = state === 'active'
  return objectText({
    ...memberTexts({
      txId: row.id,
      state,
      isolationLevel: row.isolationLevel,
      label: row.label ?? undefined,
      idleTimeoutMs: row.idleTimeoutMs,
      server: row.server,
      createdAt,
      expiresAt: isActive ? expiresAt : undefined,
      committedAt: state === 'committed' ? endedAt : undefined,
      endedAt: isActive || state === 'committed' ? undefined : (endedAt ?? undefined),
      numWrites: isActive ? (open?.buffer.size.count ?? 0) : undefined,
      savepoints: isActive ? (open?.buffer.savepoints ?? []) : undefined,
    }),
    stateResults: row.stateResults ?? undefined,
  })
}

/** What became of operations on a namespace. */
export function runResultsText(namespace: string, results: readonly RunResult[]): string {
  return `{"results":[${results.map((result) => runResultText(namespace, result)).join(',')}]}`
}

function runResultText(namespace: string, result: RunResult): string {
  switch (result.kind) {
    case 'put': {
      const { key, write, isNew } = result
      const status = isNew ? 201 : 200
      return JSON.stringify({ status, namespace, key, version: versionOf(write), staged: true })
    }
    case 'delete':
      return JSON.stringify({ status: 200, namespace, key: result.key, staged: true })
    case 'missing':
      return missingText(namespace, result.key)
    case 'found':
      return `{"status":200,${seenText(namespace, result.seen).slice(1)}`
    case 'listed': {
      const items = result.items.map((seen) => seenText(namespace, seen))
      const next = result.next === undefined ? undefined : JSON.stringify(result.next)
      return objectText({ status: '200', items: `[${items.join(',')}]`, next })
    }
  }
}

function seenText(namespace: string, seen: Seen): string {
  if ('entry' in seen) return entryText(namespace, seen.entry)
  const { key, operation } = seen.write
  if (operation.kind === 'delete') throw new Error('what is deleted is not seen')
  const version = versionOf(seen.write)
  return objectText({
    ...memberTexts({ namespace, key, version, staged: true }),
    ...valueTexts(operation.value),
    metadata: operation.metadata ?? undefined,
  })
}
