import {
  type Answer,
  type Outcome as Given,
  type IdempotentRequest,
  type KeptAnswer,
  replay,
} from '../../idempotency/rules.ts'
import { Problem } from '../../problems.ts'
import { WriteBuffer } from './buffer.ts'
import type { Outcome, StateTransactionRow } from './queries.ts'
import { ReadLog } from './reads.ts'
import { isInDoubt, isOver } from './rules.ts'
import type { View } from './view.ts'

/** Requests that may wait for their turn. */
const waitingMax = 10
/** Answers that are kept for repetitions, which follow soon if they follow. */
const answersMax = 16

export interface OpenTransactionOptions {
  row: StateTransactionRow
  view: View
  ageMsMax: number
  /** Ends it: it was left alone for too long, or is too old, or cannot read on. */
  onEnd: (outcome: 'expired' | 'rolled-back') => void
}

/** An interactive transaction in the memory of its server. Its requests are done one after the other. */
export class OpenTransaction {
  readonly row: StateTransactionRow
  readonly view: View
  readonly buffer = new WriteBuffer()
  readonly reads = new ReadLog()
  /** Of the namespaces that it has spoken of, by their ids. */
  readonly names = new Map<number, string>()
  /** Whether a commit was lost in the middle, so that it may have taken effect. Then it can only be committed again. */
  isInDoubt = false
  readonly #answers = new Map<string, KeptAnswer>()
  readonly #endsAt: number
  readonly #onEnd: OpenTransactionOptions['onEnd']
  #outcome: Outcome | undefined
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  constructor({ row, view, ageMsMax, onEnd }: OpenTransactionOptions) {
    this.row = row
    this.view = view
    this.#endsAt = performance.now() + ageMsMax
    this.#onEnd = onEnd
    this.#rest()
  }

  /** Does one request when those before it are done. Throws a `Problem` when the transaction is over by then. */
  run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#waiting >= waitingMax) throw tooBusy(this.row.id)
    this.#waiting += 1
    clearTimeout(this.#timer)
    const done = this.#last.then(() => {
      if (performance.now() >= this.#endsAt) this.#onEnd('expired')
      if (this.#outcome !== undefined) throw isOver({ ...this.row, state: this.#outcome })
      return work()
    })
    this.#last = done.then(this.#rested, this.#rested)
    return done
  }

  /** Does one request, which with the same key is answered as the first time. */
  once(request: IdempotentRequest | undefined, work: () => Promise<Answer>): Promise<Given> {
    return this.run(async () => {
      const kept = request && this.#answers.get(request.key)
      if (request !== undefined && kept !== undefined) {
        const again = replay(request, kept)
        if (again instanceof Problem) throw again
        return { answer: again, replayed: true }
      }
      if (this.isInDoubt) throw isInDoubt(this.row.id)
      const answer = await work()
      if (request !== undefined) this.#keep({ ...request, ...answer })
      return { answer, replayed: false }
    })
  }

  /** Ends it here, in whatever way; what it has written is forgotten. */
  async end(outcome: Outcome): Promise<void> {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    clearTimeout(this.#timer)
    await this.view.close()
  }

  /** Rolls it back, for it cannot go on. */
  fail(): void {
    this.#onEnd('rolled-back')
  }

  #keep(answer: KeptAnswer): void {
    this.#answers.set(answer.key, answer)
    const [oldest] = this.#answers.keys()
    if (this.#answers.size > answersMax && oldest !== undefined) this.#answers.delete(oldest)
  }

  #rested = (): void => {
    this.#waiting -= 1
    if (this.#waiting === 0) this.#rest()
  }

  #rest(): void {
    if (this.#outcome !== undefined) return
    const leftMs = this.#endsAt - performance.now()
    const waitMs = Math.max(0, Math.min(this.row.idleTimeoutMs, leftMs))
    this.#timer = setTimeout(this.#onEnd, waitMs, 'expired')
  }
}

function tooBusy(id: string): Problem {
  return new Problem(
    'overloaded',
    `${waitingMax} requests to the transaction ${id} wait for their turn already. Send one after the other.`,
    { headers: { 'retry-after': '1' } },
  )
}
