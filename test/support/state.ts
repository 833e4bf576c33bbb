import type { Committer } from '../../src/commits/committer.ts'
import type { Verdict } from '../../src/commits/unit.ts'
import { jsonAnswer } from '../../src/http/answers.ts'
import { createNamespaces } from '../../src/state/namespaces.ts'
import type { PutOperation, StateOperation, StateResult } from '../../src/state/operations.ts'
import type { TestServer } from './server.ts'

/** Writes to the state as the routes do, without them. */
export interface StateWriter {
  committer: Committer
  /** Does operations on a namespace at one revision. */
  write: (namespace: string, operations: readonly StateOperation[]) => Promise<StateResult>
}

export function createStateWriter({
  db,
  committer,
}: Pick<TestServer, 'db' | 'committer'>): StateWriter {
  const namespaces = createNamespaces(db)
  return {
    committer,
    async write(namespace, operations) {
      let verdict: Verdict | undefined
      await committer.submit({
        parts: [],
        state: [{ ...(await namespaces.make(namespace)), operations, isAtomic: true }],
        answer(judged) {
          verdict = judged
          return jsonAnswer(200, '{}')
        },
      })
      const result = verdict?.kind === 'committed' ? verdict.state[0] : undefined
      if (result === undefined) throw new Error('the operations were refused')
      return result
    },
  }
}

/** A put of JSON, or of another value that `more` has. */
export function put(
  key: string,
  json: unknown,
  { metadata, ...more }: Partial<Omit<PutOperation, 'metadata'>> & { metadata?: object } = {},
): PutOperation {
  return {
    kind: 'put',
    key,
    value: { json: JSON.stringify(json), contentType: null, bytes: null },
    metadata: metadata === undefined ? null : JSON.stringify(metadata),
    ...more,
  }
}

/** A put of bytes. */
export function putBytes(key: string, bytes: Buffer): PutOperation {
  return put(key, null, { value: { json: null, contentType: 'application/octet-stream', bytes } })
}

export function remove(key: string): StateOperation {
  return { kind: 'delete', key }
}
