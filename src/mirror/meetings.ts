import type { Course } from './order.ts'

/** Has the versions of a table appear in their turn among those of other tables. */
export interface Turns {
  /** Waits until a version may appear; false when it may not any more. */
  before: (version: number) => Promise<boolean>
  /** Waits until all that was to appear with it has; false when something has not, so that nothing may follow. */
  after: (version: number) => Promise<boolean>
  /** Notes that no further version will appear. Must be called, however it came to that, so that nobody waits for one. */
  end: () => void
}

/** Where several tables wait for each other: all have come, or one of them never will. */
class Rendezvous {
  readonly #missing: Set<string>
  readonly #end = Promise.withResolvers<boolean>()

  constructor(tableIds: readonly string[]) {
    this.#missing = new Set(tableIds)
  }

  come(tableId: string): Promise<boolean> {
    this.#missing.delete(tableId)
    if (this.#missing.size === 0) this.#end.resolve(true)
    return this.#end.promise
  }

  giveUp(tableId: string): void {
    if (this.#missing.has(tableId)) this.#end.resolve(false)
  }
}

/** The two moments of a transaction: its files are ready, its files have appeared. */
interface Meeting {
  ready: Rendezvous
  appeared: Rendezvous
}

const anyTime = async () => true
const noTurns: Turns = { before: anyTime, after: anyTime, end() {} }

/**
 * Lets tables that are published side by side meet at the transactions that they share. There are no circles to wait
 * in, for tables meet in the order of their commits.
 */
export class Meetings {
  /** By table and version. */
  readonly #meetings = new Map<string, Map<number, Meeting>>()

  constructor(courses: ReadonlyMap<string, Course>) {
    const byTransaction = new Map<string, Meeting>()
    for (const [tableId, { to, shared }] of courses) {
      for (const [version, { transactionId, others }] of shared) {
        if (version > to || others.length === 0) continue
        const meeting = byTransaction.get(transactionId) ?? meetingOf([tableId, ...others])
        byTransaction.set(transactionId, meeting)
        this.#of(tableId).set(version, meeting)
      }
    }
  }

  /** The turns of a table. */
  turns(tableId: string): Turns {
    const meetings = this.#meetings.get(tableId)
    if (meetings === undefined) return noTurns
    return {
      before: async (version) => meetings.get(version)?.ready.come(tableId) ?? true,
      after: async (version) => meetings.get(version)?.appeared.come(tableId) ?? true,
      end() {
        for (const { ready, appeared } of meetings.values()) {
          ready.giveUp(tableId)
          appeared.giveUp(tableId)
        }
      },
    }
  }

  #of(tableId: string): Map<number, Meeting> {
    const known = this.#meetings.get(tableId) ?? new Map<number, Meeting>()
    this.#meetings.set(tableId, known)
    return known
  }
}

function meetingOf(tableIds: readonly string[]): Meeting {
  return { ready: new Rendezvous(tableIds), appeared: new Rendezvous(tableIds) }
}
