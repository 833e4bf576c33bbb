/** How a key is held: for one holder alone, or by several. */
export type AdvisoryMode = 'exclusive' | 'shared'

/** An advisory lock of PostgreSQL. */
export interface AdvisoryLock {
  key: bigint
  mode: AdvisoryMode
}

const keyMin = -(2n ** 63n)
const keyMax = 2n ** 63n - 1n

/** Keys under which the service takes advisory locks itself. */
const ownKeys: ReadonlySet<bigint> = new Set([4_919_871_002n, 4_919_871_003n, 5_063_517_402_911n])

/** The key that a JSON number or a text stands for, or what is wrong with it. */
export function readAdvisoryKey(given: number | string): bigint | string {
  const isExact =
    typeof given === 'string' ? /^-?[0-9]{1,19}$/.test(given) : Number.isSafeInteger(given)
  if (!isExact) return 'must be a whole number; one beyond 2^53 is written as a string'
  const key = BigInt(given)
  if (key < keyMin || key > keyMax) return 'must be from -2^63 to 2^63 - 1'
  return ownKeys.has(key) ? 'is a key that the service needs for itself; take another' : key
}

/** What one session holds, and is about to; PostgreSQL itself would grant it the same key again and again. */
export class HeldKeys {
  readonly #held = new Map<bigint, { mode: AdvisoryMode; count: number }>()

  /** The keys that are held, each once. */
  list(): AdvisoryLock[] {
    return [...this.#held].map(([key, { mode }]) => ({ key, mode }))
  }

  /**
   * Enters a holder. `first`: PostgreSQL has yet to be asked. `another`: the key is shared already. `refused`: a holder of
   * this session is in the way.
   */
  enter({ key, mode }: AdvisoryLock): 'first' | 'another' | 'refused' {
    const held = this.#held.get(key)
    if (held === undefined) {
      this.#held.set(key, { mode, count: 1 })
      return 'first'
    }
    if (mode === 'exclusive' || held.mode === 'exclusive') return 'refused'
    held.count += 1
    return 'another'
  }

  /** Lets a holder go; answers whether it was the last, so that PostgreSQL is to be told. */
  leave({ key, mode }: AdvisoryLock): boolean {
    const held = this.#held.get(key)
    if (held?.mode !== mode) return false
    held.count -= 1
    if (held.count > 0) return false
    this.#held.delete(key)
    return true
  }
}
