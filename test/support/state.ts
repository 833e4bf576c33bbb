import type { Test } from 'tap'
import { createCommitter } from '../../src/commits/committer.ts'
import type { StateOperation, StateResult } from '../../src/state/operations.ts'
import { makeNamespace } from '../../src/state/queries.ts'
import { type EntryValue, noValue } from '../../src/state/rows.ts'
import type { TestServer } from './server.ts'

/** Writes to the state as the routes do, without them. */
export function createStateWriter(t: Test, { db, pool }: TestServer) {
  const committer = createCommitter({
    pool,
    batchesMax: 4,
    queueCommitsMax: 10_000,
    batchActionsMax: 20_000,
    idempotencyRetentionMs: 60_000,
    bulkMsMax: 60_000,
    onBatch() {},
  })
  t.teardown(() => committer.idle())
  return {
    committer,
    /** Does operations on a namespace at one revision. */
    async write(namespace: string, operations: readonly StateOperation[]): Promise<StateResult> {
      const namespaceId = await makeNamespace(db, namespace)
      let result: StateResult | undefined
      await committer.submit({
        parts: [],
        state: [{ namespaceId, namespace, operations, isAtomic: true }],
        answer: (verdict) => {
          if (verdict.kind === 'committed') [result] = verdict.state
          return { status: 200, headers: {}, body: '' }
        },
      })
      if (result === undefined) throw new Error('the operations were refused')
      return result
    },
  }
}

/** A value that is JSON. */
export const json = (value: unknown): EntryValue => ({
  ...noValue,
  json: JSON.stringify(value),
  contentType: null,
  bytes: null,
})

/** A put of a JSON value. */
export const put = (
  key: string,
  value: unknown,
  more: { ttlMs?: number | null; metadata?: object } = {},
): StateOperation => ({
  kind: 'put',
  key,
  value: json(value),
  metadata: more.metadata === undefined ? null : JSON.stringify(more.metadata),
  ttlMs: more.ttlMs,
})

export const remove = (key: string): StateOperation => ({ kind: 'delete', key })
