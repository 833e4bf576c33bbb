export type LockKind = 'lock' | 'election'

export type LockMode = 'exclusive' | 'shared'

/** A lock as requests name it. */
export interface LockName {
  kind: LockKind
  name: string
}

/** Names a lock in memory. */
export function keyOf({ kind, name }: LockName): string {
  return `${kind}/${name}`
}

/** What is asked for by a holder. Times in milliseconds. */
export interface Asking {
  requestId: string
  holder: string
  mode: LockMode
  /** Who has the higher one goes first. */
  priority: number
  ttlMs: number
  /** For how long nobody gets the lock after this holder has let it expire. */
  lockDelayMs: number
  /** As JSON. */
  metadata: string | null
}

/** A request in the line for a lock. Instants are epoch milliseconds by the clock of the database. */
export interface Waiting extends Asking {
  begunAt: number
}

/** Who has a lock. */
export interface Holder {
  holder: string
  mode: LockMode
  token: number
  ttlMs: number
  lockDelayMs: number
  metadata: string | null
  /** The request that was granted it, where it was one alone. */
  requestId: string | null
  grantedAt: number
  expiresAt: number
}

/** The row of a lock. */
export interface LockRow {
  id: number
  /** Of its last grant. */
  token: number
  delayedUntil: number | null
  /** Number of its last event. */
  lastEvent: number
  /** Rises with every change, but for renewals. */
  revision: number
}

/** What happened to a lock. `waiting` tells of a request that has lined up; `changed` of new metadata. */
export type LockEvent = { event: number } & (
  | { kind: 'granted' | 'changed' | 'released' | 'expired' | 'forced'; holder: Holder }
  | { kind: 'waiting'; waiting: Waiting }
)

/** Says what happened, as those who watch locks or elections are told of it; the payload is JSON on one line. */
export type Tell = (kind: LockKind, event: LockEvent) => { kind: string; payload: string }

/** All that a batch changes of one lock. */
export interface LockWrites {
  /** As it is now and as it is to be; where nothing changes there is none. */
  row: { before: LockRow; after: LockRow } | undefined
  /** Those that are new, or have changed. */
  holders: readonly Holder[]
  /** The names of those that have it no more. */
  gone: readonly string[]
  /** Requests that line up, in order. */
  waits: readonly Waiting[]
  /** Ids of requests that wait no more. */
  left: readonly string[]
  /** Requests that are to end a deadlock, with its cycle as JSON. */
  broken: readonly { requestId: string; cycle: string }[]
  events: readonly LockEvent[]
}
