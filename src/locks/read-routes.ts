import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import type { EventWatch } from '../events/watch.ts'
import { ofEventStreams, WatchEventsHeaders, WatchEventsQuery } from '../events/watch-schema.ts'
import { jsonAnswer, sendOutcome } from '../http/answers.ts'
import { sendList, toPage } from '../http/lists.ts'
import { jsonResponse, listResponse, PageQuery, refusals, strictObject } from '../http/schema.ts'
import { type EventStreams, eventStreamResponse } from '../http/server-sent-events.ts'
import { lockText } from './lock-json.ts'
import { findLock, listHeld } from './read-queries.ts'
import { lockNotFound } from './refusals.ts'
import { exampleLockEvents, Lock, LockList, LockParams } from './schema.ts'

/** What the routes that look at locks need. */
export interface LockReadContext {
  lockWatch: EventWatch
}

/** `/locks`: who has them and who waits for them. */
export const lockReadRoutes: FastifyPluginAsyncTypebox<
  LockReadContext & { eventStreams: EventStreams }
> = async (app, { lockWatch, eventStreams }) => {
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

  app.get(
    '/locks/:name/watch',
    {
      schema: {
        operationId: 'watchLock',
        tags: ['locks'],
        summary: 'Follow a lock',
        description: `Server-sent events: \`granted\`; \`changed\` when the holder has asked again with other metadata; \`released\`; \`expired\` when a lease was not renewed in time; \`forced\` when the lock was forced open; \`waiting\` when somebody has lined up. Renewals are not told. ${ofEventStreams} A lock that nobody has ever had is watched until somebody has.`,
        headers: WatchEventsHeaders,
        params: LockParams,
        querystring: WatchEventsQuery,
        response: {
          200: eventStreamResponse('The events, without end.', exampleLockEvents),
          ...refusals('event-not-found', 'events-compacted'),
        },
      },
    },
    (request, reply) => {
      const { 'last-event-id': lastEventId } = request.headers
      const wishes = { ...request.params, ...request.query, lastEventId }
      return lockWatch.stream(wishes, () => eventStreams.open(request, reply))
    },
  )
}

const LockPlace = Type.Object({ name: Type.String({ pattern: '^[^\\u0000]*$' }) })
