import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Answer, IdempotentRequest, Outcome, WriteOutcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import { bodyText } from './body.ts'
import { LinesBody } from './lines.ts'
import { problemType } from './problem-rendering.ts'
import { beginHash } from './request-hash.ts'

/** The request as one that is to apply once, when it came with an Idempotency-Key. */
export function idempotentRequest(request: FastifyRequest): IdempotentRequest | undefined {
  const header = request.headers['idempotency-key']
  if (header === undefined) return undefined
  const { body } = request
  const hash =
    body instanceof LinesBody
      ? body.hash()
      : beginHash(request).update(Buffer.isBuffer(body) ? body : bodyText(request))
  return { key: readKey([header].flat().join(',')), requestHash: hash.digest() }
}

/** The key is a structured string (RFC 9651); a bare one without quotes and commas is taken too. */
function readKey(header: string): string {
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(header)?.[1]
  const key = quoted?.replace(/\\(["\\])/g, '$1') ?? header
  const isOne = quoted !== undefined || !/[",]/.test(key)
  if (isOne && /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/.test(key)) return key
  throw new Problem(
    'invalid-idempotency-key',
    'The Idempotency-Key must be one key of 1 to 255 printable ASCII characters, in quotes if it has quotes or commas.',
  )
}

/** The answer of a success, as JSON. */
export function jsonAnswer(
  status: number,
  body: string,
  headers: Record<string, string> = {},
): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body,
  }
}

/** The answer of a refusal. */
export function problemAnswer(problem: Problem, request: FastifyRequest): Answer {
  return {
    status: problem.status,
    headers: { ...problem.headers, 'content-type': problemType },
    body: JSON.stringify(problem.document(request.id)),
  }
}

/** Sends an answer as it was decided, or as it was kept; that of a write that succeeded with its token. */
export function sendOutcome(
  reply: FastifyReply,
  { answer, replayed, consistencyToken }: Outcome & Partial<WriteOutcome>,
) {
  if (replayed) reply.header('idempotency-replayed', 'true')
  const hasToken = consistencyToken !== undefined && answer.status < 300
  if (hasToken) reply.header('consistency-token', consistencyToken)
  return reply.code(answer.status).headers(answer.headers).send(answer.body)
}
