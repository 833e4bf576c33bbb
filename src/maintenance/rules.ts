import type { ReplicaSight } from '../database/replicas/replicas.ts'
import type { OperationRow } from './queries.ts'

/** A server says at least this often that it lives. */
export const heartbeatMs = 5000

/** A server that has said nothing for so long counts as dead. */
export const silentMsMax = 30_000

/** An operation as it is told: one whose server has died has failed, though nobody could write that down. */
export function tellOperation(row: OperationRow) {
  const { operationId, kind, done, total, createdAt } = row
  const isAbandoned = row.state === 'running' && row.silentMs > silentMsMax
  const error = isAbandoned ? abandoned : row.error
  const finishedAt = isAbandoned ? row.heartbeatAt : row.finishedAt
  return {
    operationId,
    kind,
    state: isAbandoned ? 'failed' : row.state,
    progress: { done, total },
    ...(error !== null && { error }),
    createdAt,
    ...(finishedAt !== null && { finishedAt }),
  }
}

const abandoned = `The server that ran it has not been heard of for ${silentMsMax / 1000} s. Start it again.`

/** A replica as it is told. */
export function tellReplica(sight: ReplicaSight) {
  const { name, healthy, lagMs, replayPosition, checkedAt, lastFault } = sight
  return {
    name,
    healthy,
    lagMs: lagMs ?? null,
    replayPosition: replayPosition ?? null,
    ...(checkedAt !== undefined && { checkedAt: new Date(checkedAt).toISOString() }),
    ...(lastFault !== undefined && {
      lastFault: lastFault.fault,
      lastFaultAt: new Date(lastFault.at).toISOString(),
    }),
  }
}
