import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../../http/answers.ts'
import { IdempotencyHeaders, locationHeader, refusals, writeResponse } from '../../http/schema.ts'
import { Problem } from '../../problems.ts'
import { tableText } from '../table-json.ts'
import { type ImportContext, importTable } from './import-table.ts'
import { ImportedTable, ImportTable } from './schema.ts'

/** `/tables/import`: take over a table that others have written. */
export const importRoutes: FastifyPluginAsyncTypebox<ImportContext> = async (app, context) => {
  app.post(
    '/tables/import',
    {
      schema: {
        operationId: 'importTable',
        tags: ['tables'],
        summary: 'Take over a Delta table that others have written',
        description:
          'Reads all the history that the log tells: from version 0, or from the oldest checkpoint behind which no commit is missing; what lies before that gets 410. Nothing in the folder is changed. The table then lives on here: its next commit is the next version in the same folder, and who else writes there makes a fork. A table without in-commit timestamps gets them with its first commit here.',
        headers: IdempotencyHeaders,
        body: ImportTable,
        response: {
          201: writeResponse('The table was imported.', ImportedTable, locationHeader),
          ...refusals(
            'invalid-json',
            'invalid-idempotency-key',
            'table-name-taken',
            'location-taken',
            'idempotency-in-progress',
            'body-too-large',
            'unsupported-media-type',
            'invalid-table',
            'location-not-allowed',
            'delta-log-invalid',
            'idempotency-key-reused',
          ),
        },
      },
    },
    async (request, reply) => {
      const outcome = await importTable(context, request.body, {
        idempotent: idempotentRequest(request),
        answer: (result) => {
          if (result instanceof Problem) return problemAnswer(result, request)
          const { table, history } = result
          const headers = { location: `/tables/${table.id}` }
          return jsonAnswer(201, tableText(table, { imported: history }), headers)
        },
      })
      return sendOutcome(reply, outcome)
    },
  )
}
