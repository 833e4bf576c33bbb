import type { Db } from '../../database/connect.ts'
import { applyOnce } from '../../idempotency/apply-once.ts'
import type { Answer, IdempotentRequest, WriteOutcome } from '../../idempotency/rules.ts'
import type { Problem } from '../../problems.ts'
import { namespaceNotFound } from '../rules.ts'
import { toSettings } from './namespace-json.ts'
import { findNamespace, insertNamespace, type NamespaceRow, updateSettings } from './queries.ts'
import type { SetNamespace } from './schema.ts'

/** What setting a namespace needs. */
export interface NamespaceContext {
  db: Db
  idempotencyRetentionMs: number
  /** Called when indexes may have to be built or dropped. */
  onIndexesWanted: () => void
}

/** A namespace as it was set. */
export interface ChangedNamespace {
  row: NamespaceRow
  isNew: boolean
}

/** Sets a namespace, all of it, and makes it where there is none. */
export async function setNamespace(
  { db, idempotencyRetentionMs, onIndexesWanted }: NamespaceContext,
  { namespace, body }: { namespace: string; body: SetNamespace },
  asked: {
    idempotent: IdempotentRequest | undefined
    answer: (result: ChangedNamespace | Problem) => Answer
  },
): Promise<WriteOutcome> {
  const outcome = await applyOnce(db, {
    request: asked.idempotent,
    retentionMs: idempotencyRetentionMs,
    answer: asked.answer,
    work: async (tx) => {
      const isNew = await insertNamespace(tx, namespace)
      await updateSettings(tx, namespace, toSettings(body))
      const row = await findNamespace(tx, namespace)
      if (row === undefined) throw namespaceNotFound(namespace)
      return { row, isNew }
    },
  })
  onIndexesWanted()
  return outcome
}
