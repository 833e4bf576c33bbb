import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { version } from '../version.ts'
import { isOptionalBody } from './body.ts'
import { namedSchemas } from './schema.ts'

const tags = [
  { name: 'tables', description: 'Delta tables: create, look up, drop, bring back.' },
  { name: 'commits', description: 'Commit to a table, and read what was committed.' },
  { name: 'transactions', description: 'Commit to several tables together or not at all.' },
  {
    name: 'runs',
    description: 'Numbers under which the commits of a pipeline apply once, and their fate.',
  },
  {
    name: 'state',
    description: 'Values under keys: offsets, watermarks, configuration. Versioned, and watched.',
  },
  {
    name: 'locks',
    description:
      'Leases, each with a token that rises with every grant, and lines of those who wait.',
  },
  {
    name: 'elections',
    description: 'Leaders of which there is one at a time, each with a token that rises.',
  },
  { name: 'events', description: 'Publish to channels, and follow them.' },
  { name: 'snapshots', description: 'A table as it stands, or stood at a version or a time.' },
  { name: 'changes', description: 'What is another at one version than at another.' },
  { name: 'scans', description: 'The files of a table that a reader needs.' },
  { name: 'mirror', description: "Publishing of every commit to the table's own `_delta_log`." },
  { name: 'maintenance', description: 'Work on the database, its statistics and its replicas.' },
  { name: 'service', description: 'Health, metrics, version and this document.' },
]

/** Collects the routes into an OpenAPI 3.1 document. Must come before the routes. */
export async function installOpenApi(app: FastifyInstance): Promise<void> {
  const withOptionalBody = new Set<string | undefined>()
  app.addHook('onRoute', ({ schema }) => {
    if (isOptionalBody(schema?.body)) withOptionalBody.add(schema?.operationId)
  })
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
    transformObject: (made) => {
      if (!('openapiObject' in made)) return made.swaggerObject
      const document = made.openapiObject as Document
      showExamples(document)
      for (const { operationId, requestBody } of operationsOf(document)) {
        if (requestBody && withOptionalBody.has(operationId)) requestBody.required = false
      }
      return made.openapiObject
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) =>
        typeof json['$id'] === 'string' ? json['$id'] : `unnamed-${index}`,
    },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    theme: { title: 'Deltaworks' },
    uiConfig: { layout: 'BaseLayout', tryItOutEnabled: true, displayRequestDuration: true },
  })
}

/** What of the document is looked at once it is made. */
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, { examples?: unknown }> }
}

interface Operation {
  operationId?: string
  requestBody?: { required?: boolean; content: Record<string, Media> }
}

interface Media {
  schema: { $ref?: string }
  example?: unknown
}

function operationsOf({ paths }: Pick<Document, 'paths'>): Operation[] {
  return Object.values(paths).flatMap((methods) => Object.values(methods))
}

/**
 * Puts the example of a named body where the body is sent, as the code has it: on its way into the document
 * `nullable` in an example is taken for a keyword.
 */
function showExamples({ paths, components }: Document): void {
  const named = namedSchemas as readonly { $id?: string; examples?: readonly unknown[] }[]
  const examples = new Map(named.map((schema) => [schema.$id, schema.examples?.[0]]))
  const bodies = operationsOf({ paths }).flatMap(({ requestBody }) =>
    Object.values(requestBody?.content ?? {}),
  )
  for (const media of bodies) {
    const example = examples.get(media.schema.$ref?.split('/').at(-1))
    if (example !== undefined) media.example = example
  }
  for (const schema of Object.values(components.schemas)) delete schema.examples
}
