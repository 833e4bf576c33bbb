import type { Db, Tx } from './connect.ts'

/**
 * Runs `work` in one PostgreSQL transaction at READ COMMITTED; row locks taken in it order the writers.
 * It commits when `work` returns and rolls back when it throws. Effects outside the database belong after it.
 */
export function inTransaction<Result>(db: Db, work: (tx: Tx) => Promise<Result>): Promise<Result> {
  return db.transaction().setIsolationLevel('read committed').execute(work)
}
