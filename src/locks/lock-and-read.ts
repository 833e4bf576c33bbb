import type { Tx } from '../database/connect.ts'
import type { FoundLock } from './judge.ts'
import type { Placed } from './keep-batch.ts'
import {
  type FoundHolders,
  type FoundWait,
  listHolders,
  listWaits,
  lockExpired,
  lockLocks,
  type NamedRow,
} from './queries.ts'
import { keyOf } from './rows.ts'

/** Locks as they were found under the locks of their rows. */
export interface Found extends Omit<FoundHolders, 'holders'> {
  /** By key, for an id may have become that of another lock; those that are held are left out. */
  locks: Map<string, FoundLock>
}

/** Of each line so many are read. */
const lineMax = 200

/** Locks the rows of locks, and reads under them who has them and who waits: one journey, where no lease has run out. */
export async function lockAndRead(
  tx: Tx,
  ids: readonly number[],
  { batch, skipHeld }: { batch: readonly Placed[]; skipHeld: boolean },
): Promise<Found> {
  const requestIds = batch.flatMap(({ demand }) =>
    demand.kind === 'leave' || demand.kind === 'break' ? demand.requestId : [],
  )
  const [rows, read, waits] = await Promise.all([
    lockLocks(tx, ids, { skipHeld }),
    listHolders(tx, ids),
    listWaits(tx, ids, { requestIds, limit: lineMax }),
  ])
  const locked = new Set(rows.map(({ id }) => id))
  const { now, timeline, holders, expired } = await expire(tx, {
    ...read,
    holders: read.holders.filter(({ lockId }) => locked.has(lockId)),
  })
  const parts = {
    holders: Map.groupBy(holders, ({ lockId }) => lockId),
    waits: Map.groupBy(waits, ({ lockId }) => lockId),
    expired,
    asked: new Set(requestIds),
  }
  return { now, timeline, locks: new Map(rows.map((row) => [keyOf(row), assemble(row, parts)])) }
}

/** Which holders have let their leases run out; these cannot be renewed any more. */
async function expire(tx: Tx, found: FoundHolders) {
  const late = found.holders.filter(({ expiresAt }) => expiresAt <= found.now)
  if (late.length === 0) return { ...found, expired: new Set<string>() }
  const locked = new Set(found.holders.map(({ lockId }) => lockId))
  const [gone, again] = await Promise.all([lockExpired(tx, late), listHolders(tx, [...locked])])
  return { ...again, expired: new Set(gone.map(holderKey)) }
}

const holderKey = ({ lockId, holder }: { lockId: number; holder: string }) => `${lockId}/${holder}`

interface Parts {
  holders: Map<number, FoundHolders['holders']>
  waits: Map<number, FoundWait[]>
  expired: ReadonlySet<string>
  asked: ReadonlySet<string>
}

function assemble(row: NamedRow, { holders, waits, expired, asked }: Parts): FoundLock {
  const own = waits.get(row.id) ?? []
  // Those that were asked about stand at their place and once more by themselves.
  const first = new Map(own.filter(({ counts }) => counts).map((one) => [one.requestId, one]))
  const line = [...first.values()]
  const present = own.filter(({ requestId }) => asked.has(requestId))
  const having = holders.get(row.id) ?? []
  const late = having.filter((one) => expired.has(holderKey(one)))
  const { kind: _kind, name: _name, ...state } = row
  return {
    ...state,
    holders: having,
    expired: new Set(late.map(({ holder }) => holder)),
    line: line.slice(0, lineMax),
    hasMore: line.length >= lineMax,
    broken: new Map(
      present.flatMap(({ requestId, cycle }) => (cycle === null ? [] : [[requestId, cycle]])),
    ),
    present: new Set(present.flatMap(({ requestId, cycle }) => (cycle === null ? requestId : []))),
  }
}
