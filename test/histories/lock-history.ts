/** A lock as its holder had it, as far as the holder knows. All times are of one clock, in milliseconds. */
export interface Holding {
  lock: string
  token: number
  /** When it was asked for, and when it was granted at the latest. */
  asked: number
  granted: number
  /** From when on the holder can have it no more: its lease had run out by then, or it was released. */
  over: number
}

/** An attempt to write under a token. */
export interface GuardedWrite {
  lock: string
  token: number
  call: number
  /** Of one that nobody was told the outcome of, `unknown`. */
  outcome: 'written' | 'refused' | 'unknown'
}

/** What is found at the end at the place that a lock guards: the tokens of all writes, in their order. */
export interface GuardedPlace {
  lock: string
  tokens: readonly number[]
}

export interface LockHistory {
  holdings: readonly Holding[]
  writes: readonly GuardedWrite[]
  places: readonly GuardedPlace[]
}

/** All that should never have happened: empty where every write was that of a holder, and one held a lock at a time. */
export function checkLockHistory({ holdings, writes, places }: LockHistory): string[] {
  return [
    ...checkTokens(holdings),
    ...checkWrites(
      Map.groupBy(holdings, ({ lock }) => lock),
      writes,
    ),
    ...places.flatMap(checkPlace),
    ...checkWritten(writes, places),
  ]
}

/** Every grant has a higher token than all that were there before it was asked for. */
function checkTokens(holdings: readonly Holding[]): string[] {
  const faults: string[] = []
  for (const [lock, own] of Map.groupBy(holdings, (one) => one.lock)) {
    const tokens = own.map(({ token }) => token)
    if (new Set(tokens).size < tokens.length) faults.push(`${lock}: a token was granted twice`)
    const byGrant = own.toSorted((a, b) => a.granted - b.granted)
    let newest = 0
    let at = 0
    for (const { token, asked } of own.toSorted((a, b) => a.asked - b.asked)) {
      for (; (byGrant[at]?.granted ?? Infinity) < asked; at += 1) {
        newest = Math.max(newest, byGrant[at]?.token ?? 0)
      }
      if (token <= newest) faults.push(`${lock}: token ${token} was granted behind ${newest}`)
    }
  }
  return faults
}

/** Nothing is written by who has the lock no more, for his time is over or another was granted it. */
function checkWrites(
  holdings: ReadonlyMap<string, readonly Holding[]>,
  writes: readonly GuardedWrite[],
): string[] {
  return writes.flatMap(({ lock, token, call, outcome }) => {
    if (outcome !== 'written') return []
    const own = holdings.get(lock)?.find((one) => one.token === token)
    if (own === undefined) return `${lock}: wrote under token ${token}, which nobody was granted`
    if (call > own.over) return `${lock}: wrote under token ${token}, whose time was over`
    const later = holdings.get(lock)?.find((one) => one.token > token && one.granted < call)
    return later === undefined
      ? []
      : `${lock}: wrote under token ${token} when ${later.token} was granted`
  })
}

/** No write stands behind that of a later holder. */
function checkPlace({ lock, tokens }: GuardedPlace): string[] {
  const at = tokens.findIndex((token, index) => token < (tokens[index - 1] ?? 0))
  return at < 0 ? [] : [`${lock}: a write of token ${tokens[at]} stands behind ${tokens[at - 1]}`]
}

/** What was said to be written is there, and nothing that was refused. */
function checkWritten(writes: readonly GuardedWrite[], places: readonly GuardedPlace[]): string[] {
  return places.flatMap(({ lock, tokens }) => {
    const found = Map.groupBy(tokens, (token) => token)
    const own = Map.groupBy(
      writes.filter((write) => write.lock === lock),
      ({ token }) => token,
    )
    return [...own].flatMap(([token, attempts]) => {
      const count = found.get(token)?.length ?? 0
      const least = attempts.filter(({ outcome }) => outcome === 'written').length
      const most = least + attempts.filter(({ outcome }) => outcome === 'unknown').length
      if (count >= least && count <= most) return []
      return `${lock}: ${count} writes of token ${token} are there, not ${least} to ${most}`
    })
  })
}
