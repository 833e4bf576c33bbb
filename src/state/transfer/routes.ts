import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../../http/answers.ts'
import type { LinesBody } from '../../http/lines.ts'
import { IdempotencyHeaders, refusals, requestId, writeResponse } from '../../http/schema.ts'
import { faultFinder } from '../../http/validation.ts'
import { Problem } from '../../problems.ts'
import type { StateLimits } from '../receive-operations.ts'
import { namespaceNotFound } from '../rules.ts'
import { NamespaceParams } from '../schema.ts'
import { type ImportEntriesContext, importEntries } from './import-entries.ts'
import { exportedLines } from './queries.ts'
import { EntryLines, ExportedLines, ImportedEntry, ImportResult } from './schema.ts'

/** What imports and exports of the state need. */
export type TransferContext = ImportEntriesContext & StateLimits

/** `/state/:namespace/import` and `/export`: many entries at once. */
export const transferRoutes: FastifyPluginAsyncTypebox<TransferContext> = async (app, context) => {
  const { namespaces } = context

  app.post(
    '/state/:namespace/import',
    {
      schema: {
        operationId: 'importEntries',
        tags: ['state'],
        summary: 'Write many entries at once',
        description:
          'All lines or none, at one revision. They are read as they arrive; a line that is not right is named, and nothing is written. What an entry had before is replaced. Other writes to the namespace wait while the entries are moved into place.',
        headers: IdempotencyHeaders,
        params: NamespaceParams,
        body: { content: { 'application/x-ndjson': { schema: EntryLines } } },
        response: {
          200: writeResponse('They are written.', ImportResult),
          ...refusals(
            'invalid-json',
            'invalid-idempotency-key',
            'method-not-allowed',
            'idempotency-in-progress',
            'body-too-large',
            'unsupported-media-type',
            'idempotency-key-reused',
            'precondition-required',
          ),
        },
      },
    },
    async (request, reply) => {
      const { namespace } = request.params
      const reading = { ...context, findFaults: faultFinder(request, ImportedEntry) }
      const asked = { namespace, body: request.body as LinesBody, reading }
      const outcome = await importEntries(context, asked, () => ({
        idempotent: idempotentRequest(request),
        answer: (result) =>
          result instanceof Problem
            ? problemAnswer(result, request)
            : jsonAnswer(200, JSON.stringify(result)),
      }))
      return sendOutcome(reply, outcome)
    },
  )

  app.get(
    '/state/:namespace/export',
    {
      schema: {
        operationId: 'exportEntries',
        tags: ['state'],
        summary: 'Read all entries of a namespace',
        description:
          'In one consistent view, by key, one a line, as an import takes them; `ttlMs` is what is left. Versions and revisions are not among them. An answer that breaks off is not whole.',
        params: NamespaceParams,
        response: {
          200: {
            description: 'The entries.',
            headers: requestId,
            content: { 'application/x-ndjson': { schema: ExportedLines } },
          },
          ...refusals('namespace-not-found'),
        },
      },
    },
    async (request, reply) => {
      const { namespace } = request.params
      const known = await namespaces.find(namespace)
      if (known === undefined) throw namespaceNotFound(namespace)
      const lines = await request.reads.openExport(exportedLines(known.namespaceId))
      return reply.type('application/x-ndjson').send(lines)
    },
  )
}
