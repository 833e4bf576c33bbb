import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { listName, sendList } from '../http/lists.ts'
import { listResponse, PageQuery, refusals, strictObject, Version } from '../http/schema.ts'
import { Problem } from '../problems.ts'
import { listKeyWrites } from './history-queries.ts'
import { findNamespaceId } from './queries.ts'
import { EntryParams } from './schema.ts'
import { EntryHistory } from './watch-schema.ts'
import { historyText } from './write-json.ts'

/** Bytes of values on a page at most, but for one write. */
const pageBytesMax = 16 * 1024 * 1024

/** `/state/:namespace/entries/:key/history`: what became of a key. */
export const stateHistoryRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/state/:namespace/entries/:key/history',
    {
      schema: {
        operationId: 'listEntryHistory',
        tags: ['state'],
        summary: 'Writes of an entry, newest first',
        description:
          'Every write that the history of the namespace, or its archive, still has. A page ends early where values are large.',
        params: EntryParams,
        querystring: strictObject(PageQuery),
        response: {
          200: listResponse('A page of writes.', EntryHistory),
          ...refusals('entry-not-found', 'invalid-cursor'),
        },
      },
    },
    async (request, reply) => {
      const { namespace, key } = request.params
      const namespaceId = await findNamespaceId(request.reads.db, namespace)
      return sendList(request, reply, {
        name: listName('state history', [namespace, key]),
        position: Version('The revision of the last write that was listed.'),
        readPage: async (before, limit) => {
          const { writes, hasMore } =
            namespaceId === undefined
              ? { writes: [], hasMore: false }
              : await listKeyWrites(
                  request.reads.db,
                  { namespaceId, key, before },
                  { limit, bytesMax: pageBytesMax },
                )
          if (writes.length === 0 && before === undefined) throw neverWritten(namespace, key)
          return {
            items: writes.map(historyText),
            next: hasMore ? writes.at(-1)?.revision : undefined,
          }
        },
      })
    },
  )
}

function neverWritten(namespace: string, key: string): Problem {
  return new Problem(
    'entry-not-found',
    `No write of an entry "${key}" in "${namespace}" is known.`,
    { facts: { namespace, key } },
  )
}
