import type { Change, Demand, FoundLock, Judged, JudgeSettings, Verdict } from './judge.ts'
import type { Asking, Holder, LockEvent, LockMode, LockWrites, Waiting } from './rows.ts'

/** What a holder says of his lease. */
type Said = Pick<Asking, 'ttlMs' | 'lockDelayMs' | 'metadata'>

/** So many of those that have a lock, or wait for it, are told. */
const toldMax = 100

/** A lock as the demands change it. */
export class LockLedger {
  readonly granted: Judged['granted'] = []
  readonly #found: FoundLock
  readonly #settings: JudgeSettings
  readonly #holders: Map<string, Holder>
  readonly #line: Waiting[]
  /** Holders of which something has changed. */
  readonly #touched = new Set<string>()
  readonly #entered: Waiting[] = []
  readonly #left = new Set<string>()
  readonly #broken = new Map<string, string>()
  readonly #events: LockEvent[] = []
  #token: number
  #delayedUntil: number | null
  readonly #hasMore: boolean

  constructor(found: FoundLock, settings: JudgeSettings) {
    this.#found = found
    this.#settings = settings
    this.#holders = new Map(found.holders.map((one) => [one.holder, one]))
    this.#line = [...found.line]
    this.#token = found.token
    this.#delayedUntil = found.delayedUntil
    this.#hasMore = found.hasMore
  }

  /** Takes the lock from those whose time is over, before anybody else is heard. */
  expire(): void {
    for (const name of this.#found.expired) {
      const holder = this.#holders.get(name)
      if (holder === undefined) continue
      this.#remove(holder, 'expired')
      const until = holder.expiresAt + holder.lockDelayMs
      if (holder.lockDelayMs > 0) this.#delayedUntil = Math.max(this.#delayedUntil ?? 0, until)
    }
    this.#promote()
  }

  judge(demand: Demand): Verdict {
    switch (demand.kind) {
      case 'acquire':
        return this.#acquire(demand.asking, demand.waits)
      case 'release':
        return this.#release(demand.holder, demand.token)
      case 'change':
        return this.#change(demand)
      case 'force':
        return this.#force()
      case 'leave':
        return this.#leave(demand)
      case 'break':
        return this.#break(demand.requestId, demand.cycle)
      case 'settle':
        return { kind: 'noted' }
    }
  }

  writes(): LockWrites {
    const touched = [...this.#touched]
    const entered = new Set(this.#entered.map(({ requestId }) => requestId))
    const parts = {
      holders: touched.flatMap((name) => this.#holders.get(name) ?? []),
      gone: touched.filter((name) => !this.#holders.has(name)),
      waits: this.#entered.filter(({ requestId }) => !this.#isOver(requestId)),
      left: [...this.#left].filter((requestId) => !entered.has(requestId)),
      broken: [...this.#broken].map(([requestId, cycle]) => ({ requestId, cycle })),
      events: this.#events,
    }
    const { id, token, delayedUntil, lastEvent, revision } = this.#found
    const isChanged =
      delayedUntil !== this.#delayedUntil || Object.values(parts).some((part) => part.length > 0)
    if (!isChanged) return { ...parts, row: undefined }
    const after = {
      id,
      token: this.#token,
      delayedUntil: this.#delayedUntil,
      lastEvent: lastEvent + this.#events.length,
      revision: revision + 1,
    }
    return { ...parts, row: { before: { id, token, delayedUntil, lastEvent, revision }, after } }
  }

  after({ row }: LockWrites): FoundLock {
    return {
      ...(row?.after ?? this.#found),
      holders: [...this.#holders.values()],
      expired: new Set(),
      line: this.#line,
      hasMore: this.#hasMore,
      broken: new Map(),
      present: new Set(),
    }
  }

  #acquire(asking: Asking, waits: boolean): Verdict {
    const own = this.#holders.get(asking.holder)
    if (own !== undefined) {
      if (own.mode !== asking.mode) return { kind: 'other-mode', held: own }
      return { kind: 'granted', grant: this.#extend(own, asking) }
    }
    if (this.#isFreeFor(asking.mode) && !this.#mustLineUp(asking)) {
      const grant = this.#grant(asking)
      this.#promote()
      return { kind: 'granted', grant }
    }
    if (!waits) return this.#held()
    this.#enter({ ...asking, begunAt: this.#settings.now })
    return { kind: 'waits' }
  }

  #release(name: string, token: number): Verdict {
    const holder = this.#holders.get(name)
    if (holder === undefined || holder.token !== token) return { kind: 'lost' }
    this.#remove(holder, 'released')
    this.#promote()
    return { kind: 'freed', holders: [holder] }
  }

  #change({ holder, token, ttlMs, metadata }: Change): Verdict {
    const own = this.#holders.get(holder)
    if (own === undefined || own.token !== token) return { kind: 'lost' }
    const grant = this.#extend(own, { ...own, ttlMs: ttlMs ?? own.ttlMs, metadata })
    return { kind: 'granted', grant }
  }

  #force(): Verdict {
    const holders = [...this.#holders.values()]
    for (const holder of holders) this.#remove(holder, 'forced')
    this.#delayedUntil = null
    this.#promote()
    return { kind: 'freed', holders }
  }

  #leave({ requestId, holder, isUnwanted }: Demand & { kind: 'leave' }): Verdict {
    const cycle = this.#found.broken.get(requestId) ?? this.#broken.get(requestId)
    if (cycle !== undefined) {
      this.#broken.delete(requestId)
      this.#left.add(requestId)
      return { kind: 'deadlock', cycle }
    }
    if (this.#isWaiting(requestId)) {
      this.#drop(requestId)
      this.#promote()
      return this.#held()
    }
    const own = this.#holders.get(holder)
    if (own === undefined) return this.#held()
    if (!isUnwanted) return { kind: 'granted', grant: own }
    if (own.requestId === requestId) {
      this.#remove(own, 'released')
      this.#promote()
    }
    return { kind: 'noted' }
  }

  #break(requestId: string, cycle: string): Verdict {
    if (!this.#isWaiting(requestId)) return { kind: 'noted' }
    this.#drop(requestId)
    this.#left.delete(requestId)
    this.#broken.set(requestId, cycle)
    this.#promote()
    return { kind: 'deadlock', cycle }
  }

  /** Grants the lock to those at the head of the line, for as long as they can have it, and to whoever has it already. */
  #promote(): void {
    for (;;) {
      const next = this.#line.find((one) => this.#hasIt(one)) ?? this.#line[0]
      if (next === undefined) return
      const own = this.#holders.get(next.holder)
      if (own === undefined ? !this.#isFreeFor(next.mode) : own.mode !== next.mode) return
      this.#drop(next.requestId)
      const grant = own === undefined ? this.#grant(next) : this.#extend(own, next)
      this.granted.push({ requestId: next.requestId, grant })
    }
  }

  #hasIt({ holder, mode }: Asking): boolean {
    return this.#holders.get(holder)?.mode === mode
  }

  #isFreeFor(mode: LockMode): boolean {
    if (this.#delayedUntil !== null && this.#delayedUntil > this.#settings.now) return false
    if (this.#holders.size === 0) return true
    if (mode === 'exclusive' || this.#holders.size >= this.#settings.holdersMax) return false
    const [one] = this.#holders.values()
    return one?.mode === 'shared'
  }

  /** Nobody overtakes who cannot have the lock beside him, unless he has the higher priority. */
  #mustLineUp({ mode, priority }: Asking): boolean {
    const isBefore = (one: Waiting) =>
      one.priority >= priority && (one.mode === 'exclusive' || mode === 'exclusive')
    const last = this.#line.at(-1)
    const mayBeFarther = this.#hasMore && (last === undefined || last.priority >= priority)
    return mayBeFarther || this.#line.some(isBefore)
  }

  #enter(waiting: Waiting): void {
    this.#entered.push(waiting)
    this.#note({ kind: 'waiting', waiting })
    const at = this.#line.findIndex(({ priority }) => priority < waiting.priority)
    if (at >= 0) this.#line.splice(at, 0, waiting)
    else if (!this.#hasMore) this.#line.push(waiting)
  }

  #isWaiting(requestId: string): boolean {
    if (this.#isOver(requestId)) return false
    return (
      this.#found.present.has(requestId) ||
      this.#line.some((one) => one.requestId === requestId) ||
      this.#entered.some((one) => one.requestId === requestId)
    )
  }

  #isOver(requestId: string): boolean {
    return this.#left.has(requestId) || this.#broken.has(requestId)
  }

  #drop(requestId: string): void {
    const at = this.#line.findIndex((one) => one.requestId === requestId)
    if (at >= 0) this.#line.splice(at, 1)
    this.#left.add(requestId)
  }

  /** Tokens rise also over a takeover by a standby that lacks the last grants: each timeline has a range of its own. */
  #grant(asking: Asking): Holder {
    const { now, timeline } = this.#settings
    this.#token = Math.max(this.#token + 1, (timeline - 1) * tokensOfTimeline + 1)
    const { requestId, holder, mode, ttlMs, lockDelayMs, metadata } = asking
    const lease = { ttlMs, lockDelayMs, metadata, grantedAt: now, expiresAt: now + ttlMs }
    const grant = { holder, mode, token: this.#token, requestId, ...lease }
    this.#set(grant)
    this.#note({ kind: 'granted', holder: grant })
    return grant
  }

  /** The holder has asked again: his lease runs for as long as he says now, if that is longer. */
  #extend(own: Holder, said: Said): Holder {
    const { ttlMs, lockDelayMs, metadata } = said
    const expiresAt = Math.max(own.expiresAt, this.#settings.now + ttlMs)
    const grant = { ...own, ttlMs, lockDelayMs, metadata, expiresAt, requestId: null }
    this.#set(grant)
    if (own.metadata !== metadata) this.#note({ kind: 'changed', holder: grant })
    return grant
  }

  #set(holder: Holder): void {
    this.#holders.set(holder.holder, holder)
    this.#touched.add(holder.holder)
  }

  #remove(holder: Holder, kind: 'released' | 'expired' | 'forced'): void {
    this.#holders.delete(holder.holder)
    this.#touched.add(holder.holder)
    this.#note({ kind, holder })
  }

  #note(what: Distribute<LockEvent>): void {
    this.#events.push({ ...what, event: this.#found.lastEvent + this.#events.length + 1 })
  }

  #held(): Verdict {
    return {
      kind: 'held',
      holders: [...this.#holders.values()].slice(0, toldMax),
      line: this.#line.slice(0, toldMax),
    }
  }
}

type Distribute<Event> = Event extends unknown ? Omit<Event, 'event'> : never

const tokensOfTimeline = 2 ** 40
