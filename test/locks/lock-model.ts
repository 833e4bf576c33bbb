import type { Asking, LockMode } from '../../src/locks/rows.ts'

/** Who has the lock of the model. */
export interface ModelHolder {
  holder: string
  mode: LockMode
  token: number
  expiresAt: number
  lockDelayMs: number
}

/** One who waits; `arrived` counts the requests. */
export interface ModelWait extends Asking {
  arrived: number
}

/**
 * A lock as anyone would write it down: slow and plain. It looks anew at everything after each step, one grant at a time.
 */
export class LockModel {
  now = 1_000_000
  token = 0
  delayedUntil = 0
  holders: ModelHolder[] = []
  waits: ModelWait[] = []
  #arrivals = 0

  /** Lets time pass. */
  pass(ms: number): void {
    this.now += ms
  }

  /** Requests that were granted the lock by now, in order. */
  settle(): string[] {
    for (const one of this.holders.filter(({ expiresAt }) => expiresAt <= this.now)) {
      if (one.lockDelayMs > 0) {
        this.delayedUntil = Math.max(this.delayedUntil, one.expiresAt + one.lockDelayMs)
      }
      this.holders = this.holders.filter((other) => other !== one)
    }
    const granted: string[] = []
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.waits = this.waits.filter((one) => one !== next)
      this.#grant(next)
      granted.push(next.requestId)
    }
    return granted
  }

  acquire(asking: Asking, waits: boolean): string {
    this.settle()
    const own = this.holders.find(({ holder }) => holder === asking.holder)
    if (own !== undefined && own.mode !== asking.mode) return 'other-mode'
    const wait = { ...asking, arrived: this.#arrivals++ }
    this.waits.push(wait)
    this.settle()
    if (!this.waits.includes(wait)) return 'granted'
    if (waits) return 'waits'
    this.waits = this.waits.filter((one) => one !== wait)
    return 'held'
  }

  release(holder: string, token: number): string {
    this.settle()
    const own = this.holders.find((one) => one.holder === holder && one.token === token)
    if (own === undefined) return 'lost'
    this.holders = this.holders.filter((one) => one !== own)
    this.settle()
    return 'freed'
  }

  force(): void {
    this.settle()
    this.holders = []
    this.delayedUntil = 0
    this.settle()
  }

  leave(requestId: string): void {
    this.settle()
    this.waits = this.waits.filter((one) => one.requestId !== requestId)
    this.settle()
  }

  /** Who is next, if anybody may have the lock now. */
  #next(): ModelWait | undefined {
    const again = this.waits.find(({ holder, mode }) =>
      this.holders.some((one) => one.holder === holder && one.mode === mode),
    )
    if (again !== undefined) return again
    const candidates = this.waits.filter((one) => this.#mayHave(one) && !this.#isBehind(one))
    return candidates.sort(inLine)[0]
  }

  #mayHave({ holder, mode }: Asking): boolean {
    if (this.delayedUntil > this.now) return false
    if (this.holders.some((one) => one.holder === holder)) return false
    if (this.holders.length === 0) return true
    return (
      mode === 'shared' && this.holders.length < 3 && this.holders.every((one) => one.mode === mode)
    )
  }

  /** Whether somebody goes first who cannot have the lock beside this one. */
  #isBehind(wait: ModelWait): boolean {
    return this.waits.some(
      (one) => inLine(one, wait) < 0 && (one.mode === 'exclusive' || wait.mode === 'exclusive'),
    )
  }

  #grant({ holder, mode, ttlMs, lockDelayMs }: Asking): void {
    const own = this.holders.find((one) => one.holder === holder)
    const expiresAt = Math.max(own?.expiresAt ?? 0, this.now + ttlMs)
    if (own !== undefined) Object.assign(own, { expiresAt, lockDelayMs })
    else this.holders.push({ holder, mode, token: ++this.token, expiresAt, lockDelayMs })
  }
}

function inLine(a: ModelWait, b: ModelWait): number {
  return b.priority - a.priority || a.arrived - b.arrived
}
