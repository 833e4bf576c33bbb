import type { Db } from '../../database/connect.ts'
import type { Sweep } from '../../maintenance/sweeper.ts'
import { deleteLapsedWaits } from './queries.ts'

/** Requests that waited for reservations at servers which died. They count no more as it is. */
export function lapsedWaits(db: Db): Sweep {
  return {
    what: 'waits for reservations',
    sweep: () => deleteLapsedWaits(db),
    pauseMs: 10_000,
  }
}
