import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { version } from '../version.ts'
import { define, jsonResponse, refusals } from './schema.ts'

/** Each check answers undefined when all is well, else what is wrong. */
export type Checks = Record<'database' | 'migrations' | 'mirror', () => Promise<string | undefined>>

/** What an operator should know although the server can do its work. */
export type Notes = () => readonly string[]

const Check = Type.Enum(['ok', 'failed'], { type: 'string' })

const Readiness = define(
  'Readiness',
  Type.Object({
    status: Type.Enum(['ready', 'not-ready'], { type: 'string' }),
    checks: Type.Object({ database: Check, migrations: Check, mirror: Check }),
    reasons: Type.Optional(
      Type.Array(Type.String(), { description: 'Why the server is not ready.' }),
    ),
    notes: Type.Optional(
      Type.Array(Type.String(), { description: 'What is worth knowing besides.' }),
    ),
  }),
)

const Liveness = define(
  'Liveness',
  Type.Object({ status: Type.Enum(['live'], { type: 'string' }) }),
)

const Version = define(
  'Version',
  Type.Object({ name: Type.String(), version: Type.String(), node: Type.String() }),
)

const service = { tags: ['service'] }

/** `/health/live`, `/health/ready`, `/version` and `/openapi.json`. */
export function installService(app: FastifyInstance, checks: Checks, notes: Notes): void {
  app.get(
    '/health/live',
    {
      schema: {
        ...service,
        operationId: 'getLiveness',
        summary: 'Whether the process answers',
        description: 'Asks nothing of the database.',
        response: { 200: jsonResponse('It does.', Liveness), ...refusals() },
      },
    },
    async () => ({ status: 'live' }),
  )
  app.get(
    '/health/ready',
    {
      schema: {
        ...service,
        operationId: 'getReadiness',
        summary: 'Whether the server can do its work',
        description: 'The database answers, its schema is up to date, and the mirror keeps up.',
        response: {
          200: jsonResponse('It can.', Readiness),
          ...refusals(),
          503: jsonResponse('It cannot now; `reasons` says why.', Readiness),
        },
      },
    },
    async (_request, reply) => {
      const results = await Promise.all(
        Object.entries(checks).map(async ([name, check]) => [name, await check()] as const),
      )
      const reasons = results.flatMap(([, reason]) => reason ?? [])
      const states = results.map(([name, reason]) => [name, reason === undefined ? 'ok' : 'failed'])
      const ready = reasons.length === 0
      if (!ready) reply.code(503).header('retry-after', '1')
      return {
        status: ready ? 'ready' : 'not-ready',
        checks: Object.fromEntries(states),
        ...(!ready && { reasons }),
        ...(notes().length > 0 && { notes: notes() }),
      }
    },
  )
  app.get(
    '/version',
    {
      schema: {
        ...service,
        operationId: 'getVersion',
        summary: 'What runs here',
        description: 'The version of the service and of its runtime.',
        response: { 200: jsonResponse('The version.', Version), ...refusals() },
      },
    },
    async () => ({ name: 'deltaworks', version, node: process.versions.node }),
  )
  app.get(
    '/openapi.json',
    {
      schema: {
        ...service,
        operationId: 'getOpenApi',
        summary: 'This document',
        description: 'The OpenAPI 3.1 document of the service, made from its routes.',
        response: {
          200: jsonResponse('The document.', Type.Object({}, { additionalProperties: true })),
          ...refusals(),
        },
      },
    },
    async () => app.swagger(),
  )
}
