/** What the primary said of itself. Times are milliseconds since 1970. */
export interface PrimarySample {
  /** When it was asked, by the clock of this server. */
  askedAt: number
  /** The same moment by its own clock, or a little later. */
  clock: number
  /** How far its log was safe by then, which all that was committed lies before. */
  place: bigint
  timeline: number
}

/** What a replica said of itself. */
export interface ReplicaAnswer {
  isStandby: boolean
  /** How far it has replayed the log of the primary. */
  place: bigint | undefined
  /** When the last transaction that it has replayed was committed, by the clock of the primary. */
  committedAt: number | undefined
  timeline: number
}

/** A replica as it is known since it was last asked. */
export interface ReplicaState {
  /** Why it is not read from; undefined where it may be. */
  fault: string | undefined
  place: bigint | undefined
  /** All that had been committed by then is there, by the clock of this server; undefined where that is not known. */
  asOf: number | undefined
  checkedAt: number
}

/** Judges what a replica has answered at `now`, in view of the last sample of the primary, if there is one. */
export function judgeReplica(
  before: ReplicaState | undefined,
  primary: PrimarySample | undefined,
  { answer, now }: { answer: ReplicaAnswer; now: number },
): ReplicaState {
  const { isStandby, place, committedAt, timeline } = answer
  const failed = (fault: string) => ({ fault, place, asOf: undefined, checkedAt: now })
  if (!isStandby) return failed('it was promoted: it follows no primary any more')
  if (place === undefined) return failed('it has replayed nothing yet')
  if (primary !== undefined && timeline !== primary.timeline) {
    return failed(`it is on timeline ${timeline}, and the primary on ${primary.timeline}`)
  }
  const known = before?.fault === undefined ? before?.asOf : undefined
  const asOf = latest(known, primary && seenUpTo(primary, { place, committedAt }))
  return { fault: undefined, place, asOf, checkedAt: now }
}

/**
 * Up to which moment a replica shows what was committed. One that has all of the log is behind by nothing, however long
 * ago the last commit was; of another the last commit tells, by the clock of the primary alone.
 */
function seenUpTo(
  { askedAt, clock, place }: PrimarySample,
  replica: { place: bigint; committedAt: number | undefined },
): number | undefined {
  if (replica.place >= place) return askedAt
  if (replica.committedAt === undefined) return undefined
  return Math.min(askedAt, askedAt - (clock - replica.committedAt))
}

function latest(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return Math.max(one, other)
}

/** Milliseconds by which a replica was behind when it was last asked. */
export function lagMsOf({ asOf, checkedAt }: ReplicaState, primary: PrimarySample | undefined) {
  if (asOf === undefined) return undefined
  return Math.max(0, Math.round((primary?.askedAt ?? checkedAt) - asOf))
}

/** What a read asks for. */
export interface ReadWish {
  preference: 'primary' | 'replica'
  /** What is read may be older by so much at most. */
  maxLagMs?: number | undefined
  /** What is read must have replayed the log up to there. */
  token?: bigint | undefined
}

/** Where a read goes; `waits` until the replica has come as far as the token. */
export type Choice = { reader: 'primary' } | { reader: number; waits: boolean }

/** What a choice depends on, beside the replicas. */
export interface ChoiceMoment {
  now: number
  /** Counts reads up, so that replicas take turns. */
  turn: number
  /** When the primary was last heard of. A token is a place in its log, so without it none can be judged. */
  primarySeenAt: number | undefined
  /** For how long what was heard holds. */
  freshMs: number
}

const primary = { reader: 'primary' } as const

/** Chooses the primary, or a replica by its index. */
export function chooseReader(
  replicas: readonly (ReplicaState | undefined)[],
  { preference, maxLagMs, token }: ReadWish,
  { now, turn, primarySeenAt, freshMs }: ChoiceMoment,
): Choice {
  if (preference === 'primary') return primary
  if (token !== undefined && (primarySeenAt === undefined || now - primarySeenAt > freshMs)) {
    return primary
  }
  const usable = replicas.flatMap((state, index) => {
    if (state === undefined || state.fault !== undefined || state.place === undefined) return []
    const lagMs = state.asOf === undefined ? Number.POSITIVE_INFINITY : now - state.asOf
    return maxLagMs === undefined || lagMs <= maxLagMs ? [{ index, place: state.place }] : []
  })
  const ready = usable.filter(({ place }) => token === undefined || place >= token)
  const next = ready[turn % ready.length]
  if (next !== undefined) return { reader: next.index, waits: false }
  const [furthest] = usable.toSorted((a, b) => (a.place < b.place ? 1 : -1))
  return furthest === undefined ? primary : { reader: furthest.index, waits: true }
}

/** A place in the write-ahead log, as PostgreSQL writes it, as a number that can be compared. */
export function walPlace(text: string): bigint {
  const [high = '', low = ''] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`)
}

/** The same the other way round. */
export function walPlaceText(place: bigint): string {
  const [high, low] = [place >> 32n, place & 0xffffffffn]
  return [high, low].map((half) => half.toString(16).toUpperCase()).join('/')
}
