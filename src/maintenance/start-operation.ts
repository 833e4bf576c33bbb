import { randomUUID } from 'node:crypto'
import type { Db } from '../database/connect.ts'
import type { Replicas } from '../database/replicas/replicas.ts'
import { applyOnce } from '../idempotency/apply-once.ts'
import type { Answer, IdempotentRequest, WriteOutcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import type { Maintenance, Operation } from './operations.ts'
import { insertOperation, type OperationKind, type OperationRow } from './queries.ts'

/** What starting an operation needs. */
export interface MaintenanceContext {
  db: Db
  maintenance: Pick<Maintenance, 'isFull' | 'run'>
  replicas: Pick<Replicas, 'list'>
  idempotencyRetentionMs: number
}

/** Notes an operation and, once that is durable, has it run here. Refused while too many wait. */
export async function startOperation(
  context: MaintenanceContext,
  kind: OperationKind,
  asked: {
    idempotent: IdempotentRequest | undefined
    answer: (result: OperationRow | Problem) => Answer
  },
): Promise<WriteOutcome> {
  const { db, maintenance, idempotencyRetentionMs } = context
  const noted: Operation[] = []
  const outcome = await applyOnce(db, {
    request: asked.idempotent,
    retentionMs: idempotencyRetentionMs,
    answer: asked.answer,
    work: async (tx) => {
      if (maintenance.isFull()) throw tooManyWait()
      const operation = { operationId: randomUUID(), kind }
      const row = await insertOperation(tx, operation)
      noted.push(operation)
      return row
    },
  })
  for (const operation of noted) maintenance.run(operation)
  return outcome
}

function tooManyWait(): Problem {
  return new Problem(
    'overloaded',
    'Too many operations wait on this server. Repeat when some have ended.',
    { headers: { 'retry-after': '5' } },
  )
}
