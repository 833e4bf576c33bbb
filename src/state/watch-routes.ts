import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Db } from '../database/connect.ts'
import { refusals } from '../http/schema.ts'
import { type EventStreams, eventStreamResponse } from '../http/server-sent-events.ts'
import { NamespaceParams } from './schema.ts'
import type { StateWatch } from './watch.ts'
import { listNamespaceProgress } from './watch-queries.ts'
import { unwritten, watchPlace } from './watch-rules.ts'
import { exampleStateEvents, WatchStateHeaders, WatchStateQuery } from './watch-schema.ts'

/** What the route of watching state needs. */
export interface StateWatchContext {
  db: Db
  stateWatch: StateWatch
}

/** `/state/:namespace/watch`: writes as they come. */
export const stateWatchRoutes: FastifyPluginAsyncTypebox<
  StateWatchContext & { eventStreams: EventStreams }
> = async (app, { db, stateWatch, eventStreams }) => {
  app.get(
    '/state/:namespace/watch',
    {
      schema: {
        operationId: 'watchState',
        tags: ['state'],
        summary: 'Follow the writes to a namespace',
        description:
          'Server-sent events: `put`, `delete` and `expire` for each write, in the order of revisions and each once. All that a revision has wrote to keys with the prefix comes in one piece: `more` says that another event of it follows. The last has the revision as `id`, those before it `revision.position`; a client that has lost the stream resumes with either as `Last-Event-ID`, at any server. `created` says that there was no entry before. `bookmark` promises that all up to its revision was sent, and comes when nothing else has for a while. `compacted` ends the stream of a reader who has fallen behind what the namespace keeps of its history, which begins with `historyFrom`: read the entries again, and watch from there. A namespace that nobody has written to is watched until somebody does. With `Accept-Encoding: deflate` the stream is compressed.',
        headers: WatchStateHeaders,
        params: NamespaceParams,
        querystring: WatchStateQuery,
        response: {
          200: eventStreamResponse('The writes, without end.', exampleStateEvents),
          ...refusals('revision-not-found', 'events-compacted'),
        },
      },
    },
    async (request, reply) => {
      const { namespace } = request.params
      const { 'last-event-id': lastEventId } = request.headers
      const [progress = unwritten(namespace)] = await listNamespaceProgress(db, [namespace])
      const place = watchPlace(progress, { ...request.query, lastEventId })
      stateWatch.refuseTooMany()
      stateWatch.follow(progress, place, eventStreams.open(request, reply))
    },
  )
}
