/**
 * Tells how long the next batch should wait for company. Callers that were answered together tend to come back
 * together; without a wait the first of them makes a batch of its own, and the others wait for it. Like
 * PostgreSQL's commit_delay, the wait is bounded, and who is alone never waits. Times by `performance.now`. Pure.
 */
export class Gathering {
  #enough = 0
  #until = 0

  /** Notes that a batch of this many units, which took this long, has been answered. */
  answered(batch: { units: number; ms: number }, now: number): void {
    // The other half gathers while the first is in flight.
    this.#enough = Math.floor(batch.units / 2)
    this.#until = now + Math.min(waitMsMax, batch.ms * waitPart)
  }

  /** Milliseconds that the next batch should wait for more than these units, if no more arrive. */
  waitMs(units: number, now: number): number {
    return units < this.#enough ? Math.max(0, this.#until - now) : 0
  }
}

const waitMsMax = 2
/** Of the time that the batch before took. */
const waitPart = 1 / 2
