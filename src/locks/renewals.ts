import type { Db } from '../database/connect.ts'
import { type Renewal, type Renewed, renewLeases } from './renewal-queries.ts'

/** Renews leases, many in one statement. */
export interface Renewals {
  /** The lease as it is then; undefined where it was lost. */
  renew: (renewal: Renewal) => Promise<Renewed | undefined>
  /** Settles when all that were asked for are answered. */
  idle: () => Promise<void>
}

interface Pending {
  renewal: Renewal
  resolve: (renewed: Renewed | undefined) => void
  reject: (error: unknown) => void
}

/** A lease runs for seconds, so its renewal may wait a little for others. */
const gatherMs = 20
const renewalsMax = 1000

/**
 * Renewals gather for a moment and go together. They take no row of a lock, so that neither writes that the lock guards
 * nor requests for it hold them up; against a lease that runs out they stand by the row of its holder.
 */
export function createRenewals(db: Db): Renewals {
  let gathering: Pending[] = []
  let timer: NodeJS.Timeout | undefined
  const underWay = new Set<Promise<void>>()

  function send(): void {
    clearTimeout(timer)
    timer = undefined
    const batch = gathering
    gathering = []
    const work = renewAll(batch).finally(() => underWay.delete(work))
    underWay.add(work)
  }

  async function renewAll(batch: readonly Pending[]): Promise<void> {
    // Of several for one lease the last one counts.
    const byLease = new Map(batch.map(({ renewal }) => [leaseOf(renewal), renewal]))
    try {
      const renewed = await renewLeases(db, [...byLease.values()])
      const found = new Map(renewed.map((one) => [leaseOf(one), one]))
      for (const { renewal, resolve } of batch) resolve(found.get(leaseOf(renewal)))
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  return {
    renew: (renewal) =>
      new Promise((resolve, reject) => {
        gathering.push({ renewal, resolve, reject })
        if (gathering.length >= renewalsMax) send()
        else timer ??= setTimeout(send, gatherMs)
      }),
    async idle() {
      if (gathering.length > 0) send()
      await Promise.all(underWay)
    },
  }
}

function leaseOf({ kind, name, holder, token }: Omit<Renewal, 'ttlMs'>): string {
  return JSON.stringify([kind, name, holder, token])
}
