import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { version } from '../version.ts'

const tags = [
  { name: 'tables', description: 'Delta tables: create, look up, drop, bring back.' },
  { name: 'commits', description: 'Commit to a table, and read what was committed.' },
  { name: 'snapshots', description: 'A table as it stands, or stood at a version or a time.' },
  { name: 'mirror', description: "Publishing of every commit to the table's own `_delta_log`." },
  { name: 'service', description: 'Health, metrics, version and this document.' },
]

/** Collects the routes into an OpenAPI 3.1 document. Must come before the routes. */
export async function installOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    convertConstToEnum: false,
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Deltaworks',
        version,
        summary: "Keeps a data pipeline's writes to Delta Lake tables safe.",
        description:
          'Commits to Delta tables with optimistic concurrency, publishes each commit to the table’s `_delta_log`, and makes retries apply once. Refusals are RFC 9457 problem documents with a `code`.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/', description: 'This server.' }],
      security: [],
      tags,
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) =>
        typeof json['$id'] === 'string' ? json['$id'] : `unnamed-${index}`,
    },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { tryItOutEnabled: true, displayRequestDuration: true },
  })
}
