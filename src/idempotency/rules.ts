import { Problem } from '../problems.ts'

/** A whole answer to a request, as it is sent and as it is kept for a repetition. */
export interface Answer {
  status: number
  headers: Readonly<Record<string, string>>
  body: string
}

/** What a caller gets; `replayed` when it is the answer to an earlier request with the same key. */
export interface Outcome {
  answer: Answer
  replayed: boolean
}

/** What the caller of a write gets. */
export interface WriteOutcome extends Outcome {
  /** Stands for the present state, in which the write is done. Undefined when PostgreSQL went away right behind it. */
  consistencyToken: string | undefined
}

/** A request that is to apply once, however often it is repeated. */
export interface IdempotentRequest {
  key: string
  /** SHA-256 over what makes the request the same: method, address and body. */
  requestHash: Buffer
}

/** An answer that was given under a key. */
export interface KeptAnswer extends Answer {
  key: string
  requestHash: Buffer
}

/** The answer that a repeated request gets: the first one again, or a refusal when the request is another. */
export function replay(request: IdempotentRequest, kept: KeptAnswer): Answer | Problem {
  if (kept.requestHash.equals(request.requestHash)) {
    return { status: kept.status, headers: kept.headers, body: kept.body }
  }
  return new Problem(
    'idempotency-key-reused',
    `The Idempotency-Key "${request.key}" was used for another request. Use a new key for a new request.`,
  )
}

/** The refusal while the first request with the key still runs, here or in another server. */
export function inProgress(request: IdempotentRequest): Problem {
  return new Problem(
    'idempotency-in-progress',
    `The first request with the Idempotency-Key "${request.key}" still runs. Repeat in a moment.`,
    { headers: { 'retry-after': '1' } },
  )
}

/** Refusals that stand however often the request is repeated, and so are kept like successes. */
export function isFinal(answer: Answer): boolean {
  return answer.status < 500 && answer.status !== 429 && answer.status !== 404
}
