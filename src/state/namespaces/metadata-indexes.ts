import type { Db } from '../../database/connect.ts'
import type { Sweep } from '../../maintenance/sweeper.ts'
import { buildIndex, claimIndexes, dropIndex, listIndexesDue, stopBuild } from './index-queries.ts'

/** Keeps the indexes over metadata as the namespaces are set. */
export interface MetadataIndexes {
  /** Looks at once whether one is to be built or dropped, and does so in the background. */
  wake: () => void
  /** Notices what was broken off, and what a server that is gone has left undone. */
  sweep: Sweep
  /** Breaks off what is under way, which a server builds anew later. */
  stop: () => Promise<void>
}

const pauseMs = 60_000

/** One server at a time builds and drops, one index after the other. Nothing is connected before it is asked for. */
export function createMetadataIndexes({
  db,
  log,
}: {
  db: Db
  log: { warn: (facts: object, message: string) => void }
}): MetadataIndexes {
  let tending: Promise<void> | undefined
  let isWanted = false
  let stopped = false
  /** The connection on which that is done. */
  let building: number | undefined

  /** Answers once nothing is due, or another server is at it. */
  function tend(): Promise<void> {
    return db.connection().execute(async (one) => {
      const claim = await claimIndexes(one)
      if (claim === undefined) return
      building = claim.pid
      try {
        while (await mendNext(one));
      } finally {
        building = undefined
        await claim.release()
      }
    })
  }

  /** Builds or drops the first index that is not as it should be; answers whether there was one. */
  async function mendNext(one: Db): Promise<boolean> {
    const [due] = stopped ? [] : await listIndexesDue(one)
    if (due === undefined) return false
    if (due.exists) await dropIndex(one, due.id)
    if (due.isWanted && !stopped) await buildIndex(one, due.id)
    return true
  }

  async function tendAll(): Promise<void> {
    while (isWanted && !stopped) {
      isWanted = false
      await tend().catch((err) => {
        if (!stopped) log.warn({ err }, 'the indexes over metadata could not be tended')
      })
    }
    tending = undefined
  }

  const wake = () => {
    isWanted = true
    tending ??= tendAll()
  }
  return {
    wake,
    sweep: {
      what: 'indexes over metadata',
      sweep: async () => {
        wake()
        return 0
      },
      pauseMs,
    },
    async stop() {
      stopped = true
      if (building !== undefined) await stopBuild(db, building)
      await tending
    },
  }
}
