import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { closerOf } from '../close-pool.ts'
import { createDb, type Db, type Pool } from '../connect.ts'
import { explainTlsError } from '../tls.ts'
import { findReplayed, findReplicaAnswer } from './queries.ts'
import { judgeReplica, type PrimarySample, type ReplicaState } from './rules.ts'

/** Opens a pool to a replica. */
export type OpenPool = (kind: 'reads' | 'copies' | 'checks') => Pool

/** What a replica is read by; once `lost` aborts, it does not answer any more, and all that waits for it is in vain. */
export interface ReplicaLine {
  pool: Pool
  db: Db
  copyPool: Pool
  lost: AbortSignal
  close: () => Promise<void>
}

/** A check that takes longer has failed. */
export const checkMsMax = 1000
const pollMs = 5

/** A PostgreSQL that may follow the primary, and what is known of it. */
export class Replica {
  readonly name: string
  #open: OpenPool
  #checks: Pool
  #closeChecks: () => Promise<void>
  #line: ReplicaLine
  #losing: AbortController
  #state: ReplicaState | undefined
  #lastFault: { fault: string; at: number } | undefined

  constructor(name: string, open: OpenPool) {
    this.name = name
    this.#open = open
    this.#checks = open('checks')
    this.#closeChecks = closerOf(this.#checks)
    ;[this.#line, this.#losing] = this.#openLine()
  }

  /** Undefined before it was asked for the first time. */
  get state(): ReplicaState | undefined {
    return this.#state
  }

  get line(): ReplicaLine {
    return this.#line
  }

  get lastFault(): { fault: string; at: number } | undefined {
    return this.#lastFault
  }

  /** Asks it how it is, within a second. */
  async check(primary: PrimarySample | undefined): Promise<void> {
    const before = this.#state
    const after = await findReplicaAnswer(this.#checks, checkMsMax).then(
      (answer) => judgeReplica(before, primary, { answer, now: Date.now() }),
      (error): ReplicaState => ({
        fault: reasonOf(error),
        place: before?.place,
        asOf: undefined,
        checkedAt: Date.now(),
      }),
    )
    this.#state = after
    if (after.fault === undefined) return
    this.#lastFault = { fault: after.fault, at: after.checkedAt }
    if (before?.fault === undefined && before !== undefined) this.#drop()
  }

  /** Has it not be read from before it was asked again. */
  distrust(): void {
    this.#state = undefined
  }

  /** Waits until it has come as far as `token`; false where it does not within `msMax`. */
  async reaches(token: bigint, msMax: number): Promise<boolean> {
    const deadline = Date.now() + msMax
    const over = sleep(msMax, 'over' as const)
    const asking = async () => {
      for (;;) {
        const place = await findReplayed(this.#line.pool, checkMsMax)
        if (place === undefined || place >= token) return place !== undefined
        if (Date.now() + pollMs > deadline) return false
        await sleep(pollMs)
      }
    }
    const result = await Promise.race([asking().catch(() => false), over])
    return result === true
  }

  async close(): Promise<void> {
    await Promise.all([this.#line.close(), this.#closeChecks()])
  }

  /** What is under way is given up, for it may never end. */
  #drop(): void {
    this.#losing.abort(new ReplicaLost())
    void this.#line.close()
    ;[this.#line, this.#losing] = this.#openLine()
  }

  #openLine(): [ReplicaLine, AbortController] {
    const losing = new AbortController()
    setMaxListeners(0, losing.signal)
    const [pool, copyPool] = [this.#open('reads'), this.#open('copies')]
    const closers = [pool, copyPool].map(closerOf)
    const close = async () => {
      await Promise.all(closers.map((closeOne) => closeOne()))
    }
    return [{ pool, db: createDb(pool), copyPool, lost: losing.signal, close }, losing]
  }
}

/** The end of a read whose replica was given up. */
export class ReplicaLost extends Error {
  override readonly name = 'ReplicaLost'
  constructor() {
    super('the replica does not answer any more')
  }
}

function reasonOf(error: unknown): string {
  return explainTlsError(error) ?? (error instanceof Error ? error.message : String(error))
}
