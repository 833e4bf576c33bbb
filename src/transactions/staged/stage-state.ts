import type { Db, Tx } from '../../database/connect.ts'
import { compactJson } from '../../delta/json.ts'
import { applyOnce } from '../../idempotency/apply-once.ts'
import type { WriteOutcome } from '../../idempotency/rules.ts'
import { Problem } from '../../problems.ts'
import type { StateProposal } from '../../state/operations.ts'
import { receiveOperations, type StateLimits } from '../../state/receive-operations.ts'
import type { Asked } from '../../tables/create-table.ts'
import {
  proposeState,
  type ReceivedNamespace,
  type ReceiveStateContext,
  refuseTooMany,
} from '../receive-state.ts'
import {
  insertStagedState,
  listStagedNamespaces,
  listStagedState,
  type StagedNamespace,
  type StagedOperation,
  sizeOfOthers,
} from './state-queries.ts'
import { lockActive } from './use-transaction.ts'

/** How much may be staged for the state. */
export interface StageStateLimits extends StateLimits {
  /** Of one request, and of all that one transaction stages for the state, which is in memory at its commit. */
  bodyBytesMax: number
}

/** What state is staged with. */
export interface StageStateContext extends StageStateLimits {
  db: Db
  idempotencyRetentionMs: number
}

/** Stages operations on the state. Answers how much is staged for which namespaces then. */
export function stageState(
  { db, idempotencyRetentionMs: retentionMs, ...limits }: StageStateContext,
  { id, received }: { id: string; received: readonly ReceivedNamespace[] },
  { idempotent, answer }: Asked<StagedNamespace[]>,
): Promise<WriteOutcome> {
  return applyOnce(db, {
    request: idempotent,
    retentionMs,
    answer,
    work: async (tx) => {
      await lockActive(tx, id)
      await insertReceived(tx, { id, received }, limits)
      return listStagedNamespaces(tx, id)
    },
  })
}

/** Stages what was received for a locked transaction. Throws, and stages nothing, where that would be too much in all. */
export async function insertReceived(
  tx: Tx,
  { id, received }: { id: string; received: readonly ReceivedNamespace[] },
  { bodyBytesMax: maxBytes, ...limits }: StageStateLimits,
): Promise<void> {
  const staged = received.flatMap(({ namespace, operations, texts }) =>
    operations.map(({ key }, index) => ({
      namespace,
      key,
      operation: compactJson(texts[index] ?? '{}'),
    })),
  )
  if (staged.length === 0) return
  const others = await sizeOfOthers(tx, id, staged)
  refuseTooMany(others.operations + staged.length, limits)
  const bytes = staged.reduce((sum, one) => sum + Buffer.byteLength(one.operation), others.bytes)
  if (bytes > maxBytes) throw tooLarge(bytes, maxBytes)
  await insertStagedState(tx, id, staged)
}

/** Makes proposals of what a transaction has staged for the state. */
export async function receiveStagedState(
  context: ReceiveStateContext & { db: Db },
  id: string,
): Promise<StateProposal[]> {
  return proposeState(context, readStaged(await listStagedState(context.db, id), context))
}

/** What is staged for a namespace. */
export type StagedState = Pick<ReceivedNamespace, 'namespace' | 'operations'>

/** What is staged, by namespace. */
export function readStaged(staged: readonly StagedOperation[], limits: StateLimits): StagedState[] {
  const byNamespace = [...Map.groupBy(staged, ({ namespace }) => namespace)]
  return byNamespace.map(([namespace, rows]) => {
    const text = `[${rows.map(({ operation }) => operation).join(',')}]`
    const pointer = `/state/${namespace}/operations`
    return { namespace, operations: receiveOperations(JSON.parse(text), text, { pointer, limits }) }
  })
}

function tooLarge(bytes: number, maxBytes: number): Problem {
  return new Problem(
    'body-too-large',
    `All operations on the state that the transaction stages would have ${bytes} bytes; ${maxBytes} are allowed.`,
    { facts: { maxBytes } },
  )
}
