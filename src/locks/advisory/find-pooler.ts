import { randomBytes } from 'node:crypto'
import type { Db } from '../../database/connect.ts'
import { inTransaction } from '../../database/transaction.ts'
import { findPid, holdsKey, tryLock, unlock } from './queries.ts'

/**
 * Says what is wrong with two connections that should be sessions of their own, and are not where a pooler in between gives
 * each of their transactions whatever session is free. Undefined where all is well.
 */
export async function findPooler(one: Db, other: Db): Promise<string | undefined> {
  const lock = { key: randomBytes(8).readBigInt64BE(), mode: 'exclusive' as const }
  const before = await findPid(one)
  const [isLocked] = await tryLock(one, [lock])
  if (!isLocked) return 'a lock under a random key could not be taken'
  // A session that is free goes to who asks next, so the other one asks, and keeps it.
  return inTransaction(other, async (tx) => {
    const taken = await findPid(tx)
    if (taken === before) return `two connections were answered by one session, ${taken}`
    const after = await findPid(one)
    if (after !== before) {
      return `one connection was answered by two sessions, ${before} and ${after}`
    }
    if (!(await holdsKey(one, lock.key))) return 'a lock was lost between two statements'
    await unlock(one, [lock])
    return undefined
  })
}
