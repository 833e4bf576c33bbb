import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Db } from '../database/connect.ts'
import { jsonAnswer, sendOutcome } from '../http/answers.ts'
import { jsonResponse, refusals } from '../http/schema.ts'
import { getTable } from '../tables/get-table.ts'
import { MirrorState, TableParams } from '../tables/schema.ts'
import { mirrorState } from './rules.ts'

/** `/tables/:id/mirror`: how far a table's commits are published. */
export const mirrorRoutes: FastifyPluginAsyncTypebox<{ db: Db }> = async (app, { db }) => {
  app.get(
    '/tables/:id/mirror',
    {
      schema: {
        operationId: 'getMirror',
        tags: ['mirror'],
        summary: 'How far a table is published',
        description: 'Every commit is published to the `_delta_log` of its table, in order.',
        params: TableParams,
        response: { 200: jsonResponse('The mirror.', MirrorState), ...refusals('table-not-found') },
      },
    },
    async (request, reply) => {
      const state = mirrorState(await getTable(db, request.params.id))
      return sendOutcome(reply, { answer: jsonAnswer(200, JSON.stringify(state)), replayed: false })
    },
  )
}
