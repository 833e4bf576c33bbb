import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { getCommit } from '../commits/history.ts'
import { invalidRequest } from '../http/faults.ts'
import { sendList } from '../http/lists.ts'
import { LinePosition, listResponse, refusals, Version } from '../http/schema.ts'
import { getTable } from '../tables/get-table.ts'
import { TableParams } from '../tables/schema.ts'
import { readChangesPage } from './list-changes.ts'
import { sectionsCount } from './queries.ts'
import { Changes, ChangesQuery, changesHeader, changesHeaderMembers } from './schema.ts'

/** `/tables/:id/changes`: what came between two versions, all together. */
export const changeRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/tables/:id/changes',
    {
      schema: {
        operationId: 'listChanges',
        tags: ['changes'],
        summary: 'Net changes between two versions',
        description:
          'What one commit would have to say to make version `to` of version `from`. A file that came and went in between is not told of, nor one that is back as it was. A file that is back with another add is told of by that add alone. As `application/x-ndjson` all actions stream, one a line, with the counts in the header `Changes-Summary`.',
        params: TableParams,
        querystring: ChangesQuery,
        response: {
          200: listResponse('A page of changes.', Changes, changesHeader),
          ...refusals(
            'table-not-found',
            'version-not-found',
            'invalid-cursor',
            'history-not-available',
          ),
        },
      },
    },
    async (request, reply) => {
      const { from, to } = request.query
      const { db } = request.reads
      const table = await getTable(db, request.params.id)
      const [before, after] = await Promise.all([
        getCommit(db, table, { version: from }),
        getCommit(db, table, { version: to }),
      ])
      if (before.version > after.version) {
        const message = `must not be above to, which is ${after.version}`
        throw invalidRequest('query', [{ pointer: '/query/from', message }])
      }
      return sendList(request, reply, {
        name: `changes/${table.id}/${from}/${to ?? ''}`,
        position: ChangesPlace,
        readPage: (place, limit) => {
          const span = { tableId: table.id, from, to: place?.to ?? after.version }
          return readChangesPage(db, span, { place, limit })
        },
        summary: { header: 'changes-summary', members: changesHeaderMembers },
      })
    },
  )
}

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

const Digits = Type.String({ pattern: '^(0|[1-9][0-9]{0,39})$' })

const ChangesPlace = Type.Object({
  to: Version('The version up to which the list goes.'),
  section: Type.Integer({ minimum: 0, maximum: sectionsCount - 1 }),
  x: Version('A version.'),
  y: Version('A version, or the place of a line.'),
  z: LinePosition,
  numAddedFiles: Count,
  numRemovedFiles: Count,
  numAddedBytes: Digits,
  numRemovedBytes: Digits,
  numReplacedFiles: Count,
})
