import { randomUUID } from 'node:crypto'
import type { Db } from '../database/connect.ts'
import { applyOnce } from '../idempotency/apply-once.ts'
import type { WriteOutcome } from '../idempotency/rules.ts'
import type { Asked } from '../tables/create-table.ts'
import { readMetadata } from './metadata.ts'
import { getRun, insertRun, type RunRow } from './queries.ts'
import type { CreateRun } from './schema.ts'

/** What changes to runs need. */
export interface RunContext {
  db: Db
  idempotencyRetentionMs: number
}

/** A run, and whether the request has made it. */
export interface BegunRun {
  run: RunRow
  isNew: boolean
}

/** Makes a run, or resumes the one of this id, which stays as it is. `text` is the body as it was sent. */
export async function beginRun(
  { db, idempotencyRetentionMs: retentionMs }: RunContext,
  { body, text }: { body: CreateRun; text: string },
  { idempotent, answer }: Asked<BegunRun>,
): Promise<WriteOutcome> {
  const { runId = randomUUID(), label = null, commitSequence = 0 } = body
  const metadata = readMetadata(text) ?? null
  return applyOnce(db, {
    request: idempotent,
    retentionMs,
    answer,
    work: async (tx) => {
      const made = await insertRun(tx, { runId, label, metadata, commitSequence })
      return made === undefined
        ? { run: await getRun(tx, runId), isNew: false }
        : { run: made, isNew: true }
    },
  })
}
