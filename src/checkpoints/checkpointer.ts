import { setTimeout as sleep } from 'node:timers/promises'
import { Problem } from '../problems.ts'
import { cleanUpLog } from './clean-up-log.ts'
import { Lookout } from './lookout.ts'
import {
  claimCheckpoint,
  listDueCheckpoints,
  recordCheckpoint,
  recordCheckpointFailures,
  renewClaim,
} from './queries.ts'
import { type Checkpoint, type CheckpointContext, writeCheckpoint } from './write-checkpoint.ts'
import { writeChecksums } from './write-checksums.ts'

/** Follows what is published: writes checksums and the checkpoints that are due, one at a time, and cleans up logs. */
export interface Checkpointer {
  /** Begins to look for what there is to do. */
  start: () => void
  /**
   * Writes the checkpoint of a published version once no other is under way here. Throws `overloaded` when too many
   * wait, or another server is at the table.
   */
  write: (at: TableVersion) => Promise<Checkpoint>
  /** Gives up the checkpoint under way, and begins nothing more. */
  stop: () => Promise<void>
}

export interface CheckpointerOptions extends CheckpointContext {
  pollMs: number
  /** The tables of which this server has published versions since it was asked last. */
  takePublished: () => string[]
  onCheckpoint: (outcome: { seconds: number; isWritten: boolean }) => void
  onCleanUp: (files: number) => void
  onChecksums: (versions: number) => void
  log: { warn: (facts: object, message: string) => void }
}

interface TableVersion {
  tableId: string
  version: number
}

/** A claim that is not renewed for so long is another's to take: its server has died. */
const claimMs = 60_000
/** So many checkpoints wait here at most. */
const waitingMax = 16
const dueMax = 100
/**
 * Commits come first: a server that was busy all the time rests after work for so many times as long as it took, one that
 * was busy for half of it for a quarter of that, and one that was idle hardly at all.
 */
const restTimes = 16
const restMsMax = 60_000
/** How many times longer than a look in vain the pause behind it is; at most `pauseMsMax`. */
const pauseGrowth = 5
const pauseMsMax = 10_000

const noop = () => {}

export function createCheckpointer(options: CheckpointerOptions): Checkpointer {
  const { db, storage, log } = options
  const stopping = new AbortController()
  const { signal } = stopping
  let waiting = 0
  let last: Promise<unknown> = Promise.resolve()
  let loops: Promise<void>[] = []
  const swept = new Set<string>()
  const lookout = new Lookout()

  /** Runs work when all that was asked for before has ended. */
  function inLine<Result>(work: () => Promise<Result>): Promise<Result> {
    waiting += 1
    const end = last.then(work).finally(() => {
      waiting -= 1
    })
    last = end.catch(() => {})
    return end
  }

  async function writeClaimed(at: TableVersion): Promise<Checkpoint> {
    const began = performance.now()
    const { tableId } = at
    const beat = () => renewClaim(db, { tableId, forMs: claimMs }).catch(() => {})
    const heart = setInterval(beat, claimMs / 4)
    let checkpoint: Checkpoint | undefined
    try {
      checkpoint = await writeCheckpoint(options, { ...at, signal })
      await recordCheckpoint(db, at)
      await cleanUp(at)
      return checkpoint
    } finally {
      clearInterval(heart)
      const seconds = (performance.now() - began) / 1000
      options.onCheckpoint({ seconds, isWritten: checkpoint !== undefined })
      await renewClaim(db, { tableId, forMs: 0 })
    }
  }

  /** What is not removed now is removed after another checkpoint. */
  async function cleanUp(at: TableVersion): Promise<void> {
    try {
      options.onCleanUp(await cleanUpLog(options, at))
    } catch (err) {
      log.warn({ ...at, err }, 'a log could not be cleaned up')
    }
  }

  /** What fails is tried again later, and is in nobody's way. */
  async function writeDue(at: TableVersion): Promise<void> {
    const claim = { tableId: at.tableId, newestMax: at.version - 1, forMs: claimMs }
    try {
      if (await claimCheckpoint(db, claim)) await writeClaimed(at)
    } catch (err) {
      if (signal.aborted) return
      log.warn({ ...at, err }, 'a checkpoint could not be written')
      const error = err instanceof Error ? err.message : String(err)
      await recordCheckpointFailures(db, [{ tableId: at.tableId, error }])
    }
  }

  async function writeSomeDue(): Promise<number> {
    const due = await listDueCheckpoints(db, dueMax)
    for (const { tableId, dueVersion: version } of due) {
      if (signal.aborted) break
      const rest = restAfter()
      await inLine(() => writeDue({ tableId, version }))
      await rest()
    }
    return due.length
  }

  async function writeSomeChecksums(): Promise<number> {
    const rest = restAfter()
    lookout.tell(options.takePublished())
    const asked = lookout.next(performance.now())
    if (asked?.length === 0) return 0
    const found = await writeChecksums(db, asked, { storage, swept })
    lookout.note(asked, found, performance.now())
    options.onChecksums(found.versions)
    if (found.versions > 0) await rest()
    return found.versions + (lookout.knowsMore() ? 1 : 0)
  }

  /** Call it before the work, and what it answers behind. */
  function restAfter(): () => Promise<void> {
    const began = performance.now()
    const loop = performance.eventLoopUtilization()
    return () => {
      const { utilization } = performance.eventLoopUtilization(loop)
      return pause(Math.min((performance.now() - began) * restTimes * utilization ** 2, restMsMax))
    }
  }

  /** Works as long as there is something to do, and looks for more now and then. */
  async function repeat(work: () => Promise<number>): Promise<void> {
    while (!signal.aborted) {
      const began = performance.now()
      const done = await work().catch((err) => {
        log.warn({ err }, 'the database could not be asked for work')
        return 0
      })
      const pauseMs = Math.max(options.pollMs, (performance.now() - began) * pauseGrowth)
      if (done === 0) await pause(Math.min(pauseMs, pauseMsMax))
    }
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal }).catch(noop)
  }

  return {
    start() {
      loops = [repeat(writeSomeChecksums), repeat(writeSomeDue)]
    },
    async write(at) {
      if (waiting >= waitingMax) throw busy(`${waitingMax} checkpoints wait to be written here.`)
      const claim = { tableId: at.tableId, newestMax: at.version, forMs: claimMs }
      return inLine(async () => {
        if (!(await claimCheckpoint(db, claim))) throw busy('A checkpoint is being written.')
        return writeClaimed(at)
      })
    },
    async stop() {
      stopping.abort()
      await Promise.all([...loops, last])
    },
  }
}

function busy(detail: string): Problem {
  return new Problem('overloaded', detail, { headers: { 'retry-after': '5' } })
}
