import type { Db } from '../database/connect.ts'
import type { Sweep } from '../maintenance/sweeper.ts'
import type { AdvisoryKeeper } from './advisory/keeper.ts'
import { listUnbacked } from './advisory/queries.ts'
import type { Keeper } from './keeper.ts'
import { deleteLapsedWaits, listExpired } from './wait-queries.ts'

/** Requests that waited for locks at servers which died. They count no more as it is. */
export function lapsedLockWaits(db: Db): Sweep {
  return { what: 'waits for locks', sweep: () => deleteLapsedWaits(db), pauseMs: 10_000 }
}

const expiredMax = 1000

/** Leases that nobody who waits asks about: what has run out counts no more as it is, but is to be told. */
export function expiredLeases({ db, keeper }: { db: Db; keeper: Keeper }): Sweep {
  return {
    what: 'expired leases',
    async sweep() {
      const locks = await listExpired(db, expiredMax)
      await Promise.all(locks.map(keeper.settle))
      return locks.length
    },
    pauseMs: 1000,
  }
}

/** Leases whose advisory locks are gone, as with a server that died: who waits need not wait for them to run out. */
export function unbackedLeases({ db, keeper }: { db: Db; keeper: Keeper }): Sweep {
  return {
    what: 'leases without their advisory locks',
    async sweep() {
      const leases = await listUnbacked(db, expiredMax)
      await Promise.all(leases.map(keeper.release))
      return leases.length
    },
    pauseMs: 500,
  }
}

/** Advisory locks of leases that other servers have released, or that have run out. */
export function leftAdvisoryLocks(advisory: AdvisoryKeeper): Sweep {
  return { what: 'advisory locks without a lease', sweep: advisory.settle, pauseMs: 250 }
}
