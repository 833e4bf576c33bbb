import { LockLedger } from './ledger.ts'
import type { Asking, Holder, LockRow, LockWrites, Waiting } from './rows.ts'

/** What is asked of a lock. */
export type Demand =
  /** To have it, or, where others have it and `waits`, to line up. */
  | { kind: 'acquire'; asking: Asking; waits: boolean }
  | { kind: 'release'; holder: string; token: number }
  /** To have a lease begin anew, with other metadata. */
  | ({ kind: 'change' } & Change)
  /** To throw out all who have it, and end a delay. */
  | { kind: 'force' }
  /** To wait no more. Where nobody wants the answer any more, what was granted meanwhile is given free. */
  | { kind: 'leave'; requestId: string; holder: string; isUnwanted: boolean }
  /** To end a deadlock by a request that waits. */
  | { kind: 'break'; requestId: string; cycle: string }
  /** To see who may have it now. */
  | { kind: 'settle' }

/** What is to be changed of a lease. */
export interface Change {
  holder: string
  token: number
  /** For as long as before where it is undefined. */
  ttlMs: number | undefined
  /** As JSON. */
  metadata: string | null
}

/** What became of a demand. */
export type Verdict =
  | { kind: 'granted'; grant: Holder }
  | { kind: 'waits' }
  /** It is not granted, for these have the lock and those wait for it. */
  | { kind: 'held'; holders: readonly Holder[]; line: readonly Waiting[] }
  /** The holder has it already, in another mode. */
  | { kind: 'other-mode'; held: Holder }
  | { kind: 'deadlock'; cycle: string }
  /** Those that had it and have it no more. */
  | { kind: 'freed'; holders: readonly Holder[] }
  | { kind: 'lost' }
  /** There is nothing to be told. */
  | { kind: 'noted' }

/** A lock as it was found under the lock of its row. */
export interface FoundLock extends LockRow {
  holders: readonly Holder[]
  /** Of the holders those whose time is over. */
  expired: ReadonlySet<string>
  /** The first of those who wait, in order. */
  line: readonly Waiting[]
  /** Whether more wait behind them. */
  hasMore: boolean
  /** Requests that were chosen to end a deadlock and not told yet, with the cycle as JSON. */
  broken: ReadonlyMap<string, string>
  /** Requests that were asked about, and wait, perhaps far behind. */
  present: ReadonlySet<string>
}

/** What else verdicts depend on. */
export interface JudgeSettings {
  /** Epoch milliseconds by the clock of the database. */
  now: number
  /** How often the database has been taken over by a standby, and one more. */
  timeline: number
  /** Holders that may share a lock. */
  holdersMax: number
}

/** What became of the demands on one lock. */
export interface Judged {
  /** One for each demand. */
  verdicts: Verdict[]
  /** Requests that had waited, wherever, and were granted the lock. */
  granted: { requestId: string; grant: Holder }[]
  writes: LockWrites
  /** The lock as it is once all is written. */
  after: FoundLock
}

/** Judges the demands on a lock in the order of their arrival, each on what those before have left. Pure. */
export function judgeLock(
  found: FoundLock,
  demands: readonly Demand[],
  settings: JudgeSettings,
): Judged {
  const ledger = new LockLedger(found, settings)
  ledger.expire()
  const verdicts = demands.map((demand) => ledger.judge(demand))
  const writes = ledger.writes()
  return { verdicts, granted: ledger.granted, writes, after: ledger.after(writes) }
}
