import type { Verdict } from '../../src/commits/unit.ts'
import { jsonAnswer } from '../../src/http/answers.ts'
import type { PutOperation, StateOperation, StateResult } from '../../src/state/operations.ts'
import { findNamespaceId, makeNamespace } from '../../src/state/queries.ts'
import type { TestServer } from '../support/server.ts'

/** Does operations in a namespace, at one revision, and answers what became of them. */
export async function write(
  { db, committer }: Pick<TestServer, 'db' | 'committer'>,
  namespace: string,
  operations: readonly StateOperation[],
): Promise<StateResult> {
  const namespaceId = (await findNamespaceId(db, namespace)) ?? (await makeNamespace(db, namespace))
  let verdict: Verdict | undefined
  await committer.submit({
    parts: [],
    state: [{ namespaceId, namespace, operations, isAtomic: true }],
    answer(judged) {
      verdict = judged
      return jsonAnswer(200, '{}')
    },
  })
  if (verdict?.kind !== 'committed') throw new Error('the writes were refused')
  const [result] = verdict.state
  if (result === undefined) throw new Error('the writes had no result')
  return result
}

/** A put of JSON. */
export function put(key: string, value: unknown, more: Partial<PutOperation> = {}): PutOperation {
  const json = JSON.stringify(value)
  return {
    kind: 'put',
    key,
    value: { json, contentType: null, bytes: null },
    metadata: null,
    ...more,
  }
}

/** A put of bytes. */
export function putBytes(key: string, bytes: Buffer): PutOperation {
  const value = { json: null, contentType: 'application/octet-stream', bytes }
  return put(key, null, { value })
}

/** A deletion. */
export function drop(key: string): StateOperation {
  return { kind: 'delete', key }
}
