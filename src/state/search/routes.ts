import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { memberSources } from '../../delta/json.ts'
import { bodyText } from '../../http/body.ts'
import { listName, sendList } from '../../http/lists.ts'
import { listResponse, refusals } from '../../http/schema.ts'
import { entryText } from '../entry-json.ts'
import { keyRange } from '../key-range.ts'
import type { Namespaces } from '../namespaces.ts'
import { metadataOf } from '../receive-operations.ts'
import { EntryList, Key, NamespaceParams } from '../schema.ts'
import { findEntries } from './find-entries.ts'
import { StateQuery } from './schema.ts'

/** What looking for entries needs. */
export interface SearchContext {
  namespaces: Namespaces
}

/** `/state/:namespace/query`: entries by what their metadata say. */
export const searchRoutes: FastifyPluginAsyncTypebox<SearchContext> = async (
  app,
  { namespaces },
) => {
  app.post(
    '/state/:namespace/query',
    {
      bodyLimit: queryBytesMax,
      config: { isRead: true },
      schema: {
        operationId: 'queryEntries',
        tags: ['state'],
        summary: 'Find entries by their metadata',
        description:
          'By key. Rare entries are found fast where the namespace has `metadataIndex` on. Without it entries are looked at one by one, and a page may have few or none although more follow: go on while there is a `nextCursor`.',
        params: NamespaceParams,
        body: StateQuery,
        response: {
          200: listResponse('A page of entries.', EntryList),
          ...refusals('invalid-json', 'invalid-cursor', 'body-too-large', 'unsupported-media-type'),
        },
      },
    },
    async (request, reply) => {
      const { params, body } = request
      const { namespace } = params
      const { keyPrefix, updatedAfter } = body
      const source = memberSources(bodyText(request)).get('metadata')
      const metadata = metadataOf(body.metadata, source, '/metadata') ?? undefined
      const reads = request.reads.db
      const known = await namespaces.find(namespace)
      return sendList(request, reply, {
        name: listName('query', [namespace, metadata, keyPrefix, updatedAfter]),
        position: Key,
        paging: body,
        readPage: async (after, limit) => {
          if (known === undefined) return { items: [] }
          const { namespaceId } = known
          const range = { ...keyRange({ prefix: keyPrefix }), after }
          const filter = { namespaceId, ...range, metadata, updatedAfter }
          const { entries, next } = await findEntries(reads, filter, limit)
          return { items: entries.map((entry) => entryText(namespace, entry)), next }
        },
      })
    },
  )
}

const queryBytesMax = 1024 * 1024
