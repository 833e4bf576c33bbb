import Type, { type Static, type TSchema } from 'typebox'
import { consistencyTokenPattern } from '../database/consistency-token.ts'
import { type ProblemCode, problems } from '../problems.ts'

const named: TSchema[] = []

/**
 * Gives a schema a public name, `components/schemas/<name>`, and answers a typed reference to it.
 * `buildApp` adds all of them to the server.
 */
export function define<T extends TSchema>(name: string, schema: T) {
  named.push({ ...schema, $id: name })
  return Type.Unsafe<Static<T>>(Type.Ref(name))
}

/** All schemas that have a public name. */
export const namedSchemas: readonly TSchema[] = named

/** A request object: what it does not know, it refuses. */
export function strictObject<T extends Record<string, TSchema>>(
  properties: T,
  options: Record<string, unknown> = {},
) {
  return Type.Object(properties, { additionalProperties: false, ...options })
}

export const ProblemDocument = define(
  'Problem',
  Type.Object(
    {
      type: Type.String({ description: 'A URI that stands for the kind of problem.' }),
      title: Type.String(),
      status: Type.Integer(),
      detail: Type.String({ description: 'What was wrong, where, and what to do.' }),
      instance: Type.String({ description: 'The id of the request.' }),
      code: Type.Enum(Object.keys(problems), { type: 'string' }),
    },
    {
      description: 'RFC 9457. Some codes add members of their own.',
      additionalProperties: true,
    },
  ),
)

/** The header of every answer. */
export const requestId = { 'X-Request-Id': Type.String({ description: 'The id of the request.' }) }

/** The header of an answer that made something. */
export const locationHeader = { Location: Type.String({ description: 'Where it can be read.' }) }

const tokenHeader = {
  'Consistency-Token': Type.String({
    pattern: consistencyTokenPattern,
    description: 'Stands for what has been written so far. A read that is sent it sees this write.',
  }),
}

const retryAfter = { 'Retry-After': Type.String({ description: 'Seconds to wait at least.' }) }

/** An answer as JSON, with headers of its own beside those of every answer. */
export function jsonResponse(
  description: string,
  schema: TSchema,
  headers: Record<string, TSchema> = {},
) {
  return {
    description,
    headers: { ...requestId, ...headers },
    content: { 'application/json': { schema } },
  }
}

/** The answer of a write that succeeded, as JSON. */
export function writeResponse(
  description: string,
  schema: TSchema,
  headers: Record<string, TSchema> = {},
) {
  return jsonResponse(description, schema, { ...headers, ...tokenHeader })
}

/** A page of a list as JSON, or the whole list as NDJSON, one item a line. */
export function listResponse(
  description: string,
  schema: TSchema,
  headers: Record<string, TSchema> = {},
) {
  const lines = Type.String({ description: 'The whole list, one item a line.' })
  return {
    description,
    headers: { ...requestId, ...headers },
    content: { 'application/json': { schema }, 'application/x-ndjson': { schema: lines } },
  }
}

/** The answers by which a route may refuse, one entry a status, naming the codes. */
export function refusals(...codes: ProblemCode[]) {
  const byStatus: Record<number, ProblemCode[]> = {}
  for (const code of [...codes, ...everywhere]) {
    const { status } = problems[code]
    byStatus[status] = [...new Set([...(byStatus[status] ?? []), code])]
  }
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, list]) => [
      status,
      {
        description: list.map((code) => `\`${code}\`: ${problems[code].title}.`).join(' '),
        headers: { ...requestId, ...(comesBack(Number(status)) && retryAfter) },
        content: { 'application/problem+json': { schema: ProblemDocument } },
      },
    ]),
  )
}

/** Whether the answer says when to try again. */
const comesBack = (status: number) => status === 429 || status === 503

const everywhere = [
  'invalid-request',
  'request-timeout',
  'uri-too-long',
  'overloaded',
  'header-too-large',
  'internal',
  'database-unavailable',
] as const

/** A Delta long: 64-bit, exact also above 2^53. */
export const Long = (description: string, options: object = {}) =>
  Type.Integer({ description, ...options })

export const Timestamp = (description: string) =>
  Type.String({ format: 'date-time', description: `${description} RFC 3339.` })

/** A table version as a parameter or a field of a request. */
export const Version = (description: string, options: object = {}) =>
  Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description, ...options })

/** Text that PostgreSQL can keep: it has no NUL. Unpaired surrogates are refused in every body. */
export const noNul = { pattern: '^[^\\u0000]*$', description: 'Text without NUL.' }

/** The place of a line in a log file, as a column of PostgreSQL holds it. */
export const LinePosition = Type.Integer({ minimum: -(2 ** 31), maximum: 2 ** 31 - 1 })

export const PageQuery = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1000,
      default: 100,
      description: 'Items on a page at most.',
    }),
  ),
  cursor: Type.Optional(
    Type.String({ minLength: 1, maxLength: 1000, description: '`nextCursor` of the page before.' }),
  ),
}

export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 512,
      description:
        'Makes a repeated request apply once: the same key and request get the first answer again, with `Idempotency-Replayed: true`.',
    }),
  ),
})
