import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Db } from '../database/connect.ts'
import { refusals } from '../http/schema.ts'
import { type EventStreams, eventStreamResponse } from '../http/server-sent-events.ts'
import { getTable } from '../tables/get-table.ts'
import { TableParams } from '../tables/schema.ts'
import { exampleEvents, WatchHeaders, WatchQuery } from './schema.ts'
import { type CommitWatch, watchedAfter } from './watch.ts'

/** What the routes of watching need. */
export interface WatchRoutesContext {
  db: Db
  commitWatch: CommitWatch
}

/** `/tables/:id/watch`: commits as they come. */
export const watchRoutes: FastifyPluginAsyncTypebox<
  WatchRoutesContext & { eventStreams: EventStreams }
> = async (app, { db, commitWatch, eventStreams }) => {
  app.get(
    '/tables/:id/watch',
    {
      schema: {
        operationId: 'watchTable',
        tags: ['commits'],
        summary: 'Follow the commits of a table',
        description:
          'Server-sent events: `commit` for each commit, in the order of versions and each once, with the version as `id` and a `CommitSummary` in one line as `data`; `dropped` when the table is dropped, after which the stream ends. A client that has lost the stream resumes with `Last-Event-ID`, at any server. A comment comes every 15 s. A client that leaves no room for too long is cut off, and can resume. With `Accept-Encoding: deflate` the stream is compressed, once for all who watch; do so where many watch a busy table.',
        headers: WatchHeaders,
        params: TableParams,
        querystring: WatchQuery,
        response: {
          200: eventStreamResponse('The commits, without end.', exampleEvents),
          ...refusals('table-not-found', 'version-not-found', 'history-not-available'),
        },
      },
    },
    async (request, reply) => {
      const { 'last-event-id': lastEventId } = request.headers
      const table = await getTable(db, request.params.id)
      const after = watchedAfter(table, { ...request.query, lastEventId })
      commitWatch.refuseTooMany()
      commitWatch.follow(table, after, eventStreams.open(request, reply))
    },
  )
}
