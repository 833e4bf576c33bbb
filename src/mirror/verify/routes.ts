import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { jsonAnswer, sendOutcome } from '../../http/answers.ts'
import { jsonResponse, refusals } from '../../http/schema.ts'
import { TableParams } from '../../tables/schema.ts'
import { LogVerification } from './schema.ts'
import { verificationJson } from './verification-json.ts'
import { type VerifyContext, verifyLog } from './verify-log.ts'

/** `/tables/:id/mirror/verify`: whether the log says what the database says. */
export const verifyRoutes: FastifyPluginAsyncTypebox<VerifyContext> = async (app, context) => {
  app.post(
    '/tables/:id/mirror/verify',
    {
      schema: {
        operationId: 'verifyMirror',
        tags: ['mirror'],
        summary: 'Hold the log of a table against the database',
        description:
          'Reads the log files of all published versions that are there, and the newest checkpoint, and compares them with the database, action by action. Nothing is changed. It takes as long as reading the log does.',
        params: TableParams,
        response: {
          200: jsonResponse('What came of it.', LogVerification),
          ...refusals(
            'table-not-found',
            'location-not-allowed',
            'unsupported-media-type',
            'invalid-json',
            'body-too-large',
          ),
        },
      },
    },
    async (request, reply) => {
      const verification = await verifyLog(context, request.params.id)
      const text = JSON.stringify(verificationJson(verification))
      return sendOutcome(reply, { answer: jsonAnswer(200, text), replayed: false })
    },
  )
}
