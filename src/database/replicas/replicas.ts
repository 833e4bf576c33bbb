import { closerOf } from '../close-pool.ts'
import type { Pool } from '../connect.ts'
import { findPrimarySample } from './queries.ts'
import { checkMsMax, type OpenPool, Replica, type ReplicaLine } from './replica.ts'
import { chooseReader, lagMsOf, type PrimarySample, type ReadWish, walPlaceText } from './rules.ts'

/** A replica as this server sees it. */
export interface ReplicaSight {
  name: string
  /** Whether reads may go there. */
  healthy: boolean
  /** Milliseconds by which it was behind when it was last asked; undefined where that is not known. */
  lagMs: number | undefined
  /** How far it has replayed the log of the primary. */
  replayPosition: string | undefined
  checkedAt: number | undefined
  /** What was last wrong, and when. */
  lastFault: { fault: string; at: number } | undefined
}

/** The replicas that reads may go to. */
export interface Replicas {
  /** As they are seen now, in the order of the settings. */
  list: () => readonly ReplicaSight[]
  /** The replica for a read; undefined where the primary must answer it. Waits for a token, but briefly. */
  choose: (wish: ReadWish) => Promise<ReplicaLine | undefined>
  /** Has none be read from before each was asked again: for a new primary, whose log may be another. */
  distrust: () => void
  /** Begins to ask them how they are. */
  start: () => void
  stop: () => Promise<void>
}

export interface ReplicasOptions {
  replicas: readonly { name: string; open: OpenPool }[]
  /** Opens a pool to the primary, to ask how far it is. */
  openPrimary: () => Pool
  checkMs: number
  /** How long a read waits for a replica that has not come as far as its token. */
  waitMsMax: number
  log: { warn: (facts: object, message: string) => void }
}

/** For a server without replicas. */
export const noReplicas: Replicas = {
  list: () => [],
  choose: async () => undefined,
  distrust() {},
  start() {},
  async stop() {},
}

/** Nothing is connected before `start`. */
export function createReplicas(options: ReplicasOptions): Replicas {
  const { checkMs, waitMsMax, log } = options
  if (options.replicas.length === 0) return noReplicas
  const replicas = options.replicas.map(({ name, open }) => new Replica(name, open))
  const primaryPool = options.openPrimary()
  const closePrimary = closerOf(primaryPool)
  let sample: PrimarySample | undefined
  let turn = 0
  let isStopped = false
  let timer: NodeJS.Timeout | undefined
  let checking: Promise<void> = Promise.resolve()

  async function check(): Promise<void> {
    sample = await findPrimarySample(primaryPool, checkMsMax).catch(() => sample)
    await Promise.all(replicas.map(checkOne))
    if (!isStopped) timer = setTimeout(begin, checkMs)
  }

  function begin(): void {
    checking = check()
  }

  async function checkOne(replica: Replica): Promise<void> {
    const before = replica.state?.fault
    await replica.check(sample)
    const { fault } = replica.state ?? {}
    if (fault === before || fault === undefined) return
    log.warn({ replica: replica.name, reason: fault }, 'a replica is not read from')
  }

  return {
    list: () => replicas.map((replica) => sightOf(replica, sample)),
    async choose(wish) {
      turn += 1
      const choice = chooseReader(
        replicas.map(({ state }) => state),
        wish,
        {
          now: Date.now(),
          turn,
          primarySeenAt: sample?.askedAt,
          freshMs: 2 * checkMs + checkMsMax,
        },
      )
      if (choice.reader === 'primary') return undefined
      const replica = replicas[choice.reader] as Replica
      const { line } = replica
      if (!choice.waits) return line
      return (await replica.reaches(wish.token ?? 0n, waitMsMax)) ? line : undefined
    },
    distrust() {
      sample = undefined
      for (const replica of replicas) replica.distrust()
    },
    start: begin,
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await checking
      await Promise.all([closePrimary(), ...replicas.map((replica) => replica.close())])
    },
  }
}

function sightOf(replica: Replica, sample: PrimarySample | undefined): ReplicaSight {
  const { name, state, lastFault } = replica
  return {
    name,
    healthy: state !== undefined && state.fault === undefined,
    lagMs: state && lagMsOf(state, sample),
    replayPosition: state?.place === undefined ? undefined : walPlaceText(state.place),
    checkedAt: state?.checkedAt,
    lastFault,
  }
}
