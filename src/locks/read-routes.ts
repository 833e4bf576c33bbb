import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { jsonAnswer, sendOutcome } from '../http/answers.ts'
import { sendList, toPage } from '../http/lists.ts'
import { jsonResponse, listResponse, PageQuery, refusals, strictObject } from '../http/schema.ts'
import { lockText } from './lock-json.ts'
import { findLock, listHeld } from './read-queries.ts'
import { lockNotFound } from './refusals.ts'
import { Lock, LockList, LockParams } from './schema.ts'

/** `/locks`: who has them and who waits for them. */
export const lockReadRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/locks',
    {
      schema: {
        operationId: 'listLocks',
        tags: ['locks'],
        summary: 'List locks that somebody has or waits for',
        description: 'By name.',
        querystring: strictObject(PageQuery),
        response: {
          200: listResponse('A page of locks.', LockList),
          ...refusals('invalid-cursor'),
        },
      },
    },
    (request, reply) =>
      sendList(request, reply, {
        name: 'locks',
        position: LockPlace,
        readPage: async (after, limit) => {
          const place = { after: after?.name, limit: limit + 1 }
          const locks = await listHeld(request.reads.db, 'lock', place)
          return toPage(locks, limit, { json: lockText, position: ({ name }) => ({ name }) })
        },
      }),
  )

  app.get(
    '/locks/:name',
    {
      schema: {
        operationId: 'getLock',
        tags: ['locks'],
        summary: 'Look up a lock',
        description: 'Who has it, who waits for it, and since when.',
        params: LockParams,
        response: { 200: jsonResponse('The lock.', Lock), ...refusals('lock-not-found') },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const lock = await findLock(request.reads.db, { kind: 'lock', name })
      if (lock === undefined) throw lockNotFound({ name })
      return sendOutcome(reply, { answer: jsonAnswer(200, lockText(lock)), replayed: false })
    },
  )
}

const LockPlace = Type.Object({ name: Type.String({ pattern: '^[^\\u0000]*$' }) })
