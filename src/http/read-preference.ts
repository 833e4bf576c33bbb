import type { FastifyInstance } from 'fastify'
import Type, { type TObject } from 'typebox'
import { consistencyTokenPattern } from '../database/consistency-token.ts'
import { invalidRequest } from './faults.ts'

/** What a read preference looks like. */
export const readPreferencePattern = '^(primary|replica(; ?max-lag-ms=[0-9]{1,9})?)$'

/** What the headers of a read may say, and how that is told to one who has said something else. */
const readHeaders = {
  'read-preference': {
    pattern: readPreferencePattern,
    description:
      'Where to read: `primary`, `replica` or `replica; max-lag-ms=N`. A server without replicas reads from the primary, which satisfies all of them.',
    message: 'must be primary, replica or replica; max-lag-ms=N',
  },
  'consistency-token': {
    pattern: consistencyTokenPattern,
    description:
      'The token that a write was answered with: what is read is no older. The primary, which a server without replicas reads from, satisfies every token.',
    message: 'must be a token that a write was answered with, like 0/1A2B3C4D',
  },
}

const headers = Object.entries(readHeaders).map(([name, { pattern, message }]) => ({
  name,
  pattern: new RegExp(pattern),
  message,
}))

const ReadHeaders = Type.Object(
  Object.fromEntries(
    Object.entries(readHeaders).map(([name, { pattern, description }]) => [
      name,
      Type.Optional(Type.String({ pattern, description })),
    ]),
  ),
)

/**
 * Lets every read say how fresh its answer must be. All are answered by the primary so far, so what is well formed
 * is satisfied; what is not is refused before anything is read. Call it before the routes.
 */
export function installReadPreference(app: FastifyInstance): void {
  app.addHook('onRoute', ({ method, schema }) => {
    if (method !== 'GET' || schema === undefined || schema.tags?.includes('service')) return
    const own = schema.headers as TObject | undefined
    schema.headers = Type.Object({ ...ReadHeaders.properties, ...own?.properties })
  })
  app.addHook('onRequest', async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return
    const faults = headers.flatMap(({ name, pattern, message }) => {
      const value = request.headers[name]
      if (value === undefined || pattern.test(String(value))) return []
      return { pointer: `/headers/${name}`, message }
    })
    if (faults.length > 0) throw invalidRequest('headers', faults)
  })
}
