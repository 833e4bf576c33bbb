import type { Committer } from '../../commits/committer.ts'
import type { Db, Pool, Tx } from '../../database/connect.ts'
import { withCopySession } from '../../database/copy-in.ts'
import type { LinesBody } from '../../http/lines.ts'
import { applyOnce } from '../../idempotency/apply-once.ts'
import type { Answer, IdempotentRequest, WriteOutcome } from '../../idempotency/rules.ts'
import { Problem } from '../../problems.ts'
import type { Namespace, Namespaces } from '../namespaces.ts'
import { deferFlush, lockNamespaces, writeState } from '../queries.ts'
import type { StateWatch } from '../watch.ts'
import {
  analyzeStage,
  countExisting,
  findRepeatedKey,
  insertStaged,
  replaceEntries,
} from './queries.ts'
import { type LineReading, receiveLines, repeatedKey } from './receive-lines.ts'
import { createEntryStage, type EntryStage } from './stage.ts'

/** What an import needs. */
export interface ImportEntriesContext {
  db: Db
  /** For COPY, without pipelines. */
  stagePool: Pool
  committer: Committer
  namespaces: Namespaces
  stateWatch: StateWatch
  idempotencyRetentionMs: number
}

/** What became of an import. */
export interface ImportedEntries {
  namespace: string
  revision: number
  imported: number
  created: number
  replaced: number
}

/** How an import is answered; asked for once its body is read. */
export interface AskedImport {
  idempotent: IdempotentRequest | undefined
  answer: (result: ImportedEntries | Problem) => Answer
}

/**
 * Writes all entries of a body at one revision, or none. They are read and put aside as they arrive; only then is the namespace
 * locked, for as long as PostgreSQL takes to move them.
 */
export async function importEntries(
  context: ImportEntriesContext,
  { namespace, body, reading }: { namespace: string; body: LinesBody; reading: LineReading },
  asked: () => AskedImport,
): Promise<WriteOutcome> {
  const { stagePool, committer, namespaces, stateWatch } = context
  const stage = await createEntryStage(context)
  try {
    await receiveLines(body, stage, reading)
    await withCopySession(stagePool, ({ db }) => refuseRepeated(db, stage))
    const known = await namespaces.make(namespace)
    const terms = asked()
    // Batches of this server let it pass, and do not wait for the row with their connections.
    const outcome = await committer.alone([`state/${namespace}`], () =>
      withCopySession(stagePool, ({ db }) => apply(db, context, { ...terms, known, stage })),
    )
    stateWatch.wake([namespace])
    return outcome
  } finally {
    // One that cannot be dropped is swept up later.
    await stage.drop().catch(() => {})
  }
}

async function refuseRepeated(db: Db, { table }: EntryStage): Promise<void> {
  await analyzeStage(db, table)
  const repeated = await findRepeatedKey(db, table)
  if (repeated !== undefined) throw repeatedKey(repeated)
}

function apply(
  db: Db,
  { idempotencyRetentionMs }: ImportEntriesContext,
  { known, stage, idempotent, answer }: AskedImport & { known: Namespace; stage: EntryStage },
): Promise<WriteOutcome> {
  return applyOnce(db, {
    request: idempotent,
    retentionMs: idempotencyRetentionMs,
    answer,
    work: (tx) => moveEntries(tx, known, stage),
  })
}

async function moveEntries(
  tx: Tx,
  { namespace, namespaceId }: Namespace,
  { table, count }: EntryStage,
): Promise<ImportedEntries> {
  const { heads, now } = await lockNamespaces(tx, [namespaceId], { skipHeld: false })
  const [head] = heads
  if (head === undefined) throw new Error('a namespace is gone')
  if (head.requiresPrecondition) throw needsPrecondition(namespace)
  const staged = { head, now, table }
  const { known, counted, replaced } = await countExisting(tx, staged)
  await insertStaged(tx, staged)
  await replaceEntries(tx, { ...staged, areNew: known === 0 })
  const revision = head.revision + 1
  const imported = count()
  const numEntries = head.numEntries + imported - counted
  await Promise.all(writeState(tx, { namespaces: [{ ...head, revision, numEntries }], writes: [] }))
  if (head.durability === 'async') await deferFlush(tx)
  return { namespace, revision, imported, created: imported - replaced, replaced }
}

function needsPrecondition(namespace: string): Problem {
  return new Problem(
    'precondition-required',
    `Writes to "${namespace}" must say which version they replace, which an import cannot. Set the namespace otherwise for it.`,
    { facts: { namespace } },
  )
}
