import type { Db } from '../database/connect.ts'
import { findConsistencyToken } from '../database/consistency-token.ts'
import { inTransaction } from '../database/transaction.ts'
import { applyOnce } from '../idempotency/apply-once.ts'
import { findAnswers } from '../idempotency/queries.ts'
import { type IdempotentRequest, replay, type WriteOutcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import type { Asked } from '../tables/create-table.ts'
import { getTable } from '../tables/get-table.ts'
import type { TableRow } from '../tables/queries.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { Checkpoint } from './write-checkpoint.ts'

export interface CheckpointNowContext {
  db: Db
  checkpointer: Pick<Checkpointer, 'write'>
  idempotencyRetentionMs: number
}

/** A checkpoint that was asked for. */
export interface AskedCheckpoint extends Checkpoint {
  tableId: string
}

/**
 * Writes the checkpoint of the newest published version. That takes longer than a database transaction should, so the
 * answer is kept once it is done; a twin of the request in the meantime writes the same again, which does no harm.
 */
export async function checkpointNow(
  context: CheckpointNowContext,
  table: string,
  { idempotent, answer }: Asked<AskedCheckpoint>,
): Promise<WriteOutcome> {
  const { db, idempotencyRetentionMs: retentionMs } = context
  const kept = idempotent && (await findKept(db, idempotent, retentionMs))
  if (kept !== undefined) return kept
  const result = await write(context, table).catch(toProblem)
  return applyOnce(db, {
    request: idempotent,
    retentionMs,
    answer,
    async work() {
      if (result instanceof Problem) throw result
      return result
    },
  })
}

async function findKept(
  db: Db,
  request: IdempotentRequest,
  retentionMs: number,
): Promise<WriteOutcome | undefined> {
  const { key } = request
  const kept = (await inTransaction(db, (tx) => findAnswers(tx, [key], retentionMs))).get(key)
  if (kept === undefined) return undefined
  const again = replay(request, kept)
  if (again instanceof Problem) throw again
  return { answer: again, replayed: true, consistencyToken: await findConsistencyToken(db) }
}

async function write(
  { db, checkpointer }: CheckpointNowContext,
  table: string,
): Promise<AskedCheckpoint> {
  const found = await getTable(db, table)
  const refusal = refusalOf(found)
  if (refusal !== undefined) throw new Problem('checkpoint-not-possible', refusal)
  const at = { tableId: found.id, version: found.publishedVersion }
  return { tableId: found.id, ...(await checkpointer.write(at)) }
}

/** What a file system says, and no connection. */
const ofFiles = /^E(ACCES|DQUOT|EXIST|IO|ISDIR|LOOP|NAMETOOLONG|NOENT|NOSPC|NOTDIR|PERM|ROFS)$/

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  const isOfFiles = error instanceof Error && 'code' in error && ofFiles.test(String(error.code))
  if (!isOfFiles) throw error
  return new Problem('storage-unavailable', `The log cannot be written: ${error.message}.`, {
    headers: { 'retry-after': '5' },
    cause: error,
  })
}

function refusalOf({ name, mirrorState, publishedVersion }: TableRow): string | undefined {
  if (mirrorState === 'paused' || mirrorState === 'forked') {
    return `The mirror of the table ${name} is ${mirrorState}, so nothing is written to its log.`
  }
  if (publishedVersion < 0) return `No version of the table ${name} is published yet.`
  return undefined
}
