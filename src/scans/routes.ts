import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { getCommit, type VersionChoice } from '../commits/history.ts'
import { invalidRequest } from '../http/faults.ts'
import { sendList } from '../http/lists.ts'
import { listResponse, refusals } from '../http/schema.ts'
import { getTable } from '../tables/get-table.ts'
import { TableParams } from '../tables/schema.ts'
import { type ScanListContext, scanList } from './scan-list.ts'
import { Scan, ScanResult, summaryHeader } from './schema.ts'

/** `/tables/:id/scan`: the files that a reader needs. */
export const scanRoutes: FastifyPluginAsyncTypebox<ScanListContext> = async (app, context) => {
  const { db } = context
  app.post(
    '/tables/:id/scan',
    {
      schema: {
        operationId: 'scanTable',
        tags: ['scans'],
        summary: 'The files that can hold rows to be read',
        description:
          'Leaves out the files that, by their partition values or their statistics, hold no row that satisfies the predicate; where those do not say, a file stays. The files come in the order in which they were added. As `application/x-ndjson` all of them stream, one add action a line, and the header `Scan-Summary` has what stands beside the files in a page. All pages show the version that the first one showed.',
        params: TableParams,
        body: Scan,
        response: {
          200: listResponse('A page of files.', ScanResult, summaryHeader),
          ...refusals(
            'table-not-found',
            'version-not-found',
            'history-not-available',
            'invalid-cursor',
            'invalid-json',
            'body-too-large',
            'unsupported-media-type',
          ),
        },
      },
    },
    async (request, reply) => {
      const scan = request.body
      const table = await getTable(db, request.params.id)
      const commit = await getCommit(db, table, choiceOf(scan))
      const list = scanList(context, 'scan', { tableId: table.id, commit, scan })
      return sendList(request, reply, { ...list, paging: scan })
    },
  )
}

function choiceOf({ version, timestamp }: Scan): VersionChoice {
  const fault = timestamp === undefined ? undefined : timestampFault(timestamp, version)
  if (fault === undefined) return { version, timestamp }
  throw invalidRequest('body', [{ pointer: '/timestamp', message: fault }])
}

function timestampFault(timestamp: string, version: number | undefined): string | undefined {
  if (version !== undefined) return 'cannot be given together with version'
  return Number.isNaN(Date.parse(timestamp)) ? 'is not an instant' : undefined
}

/** Tells scans apart by what they ask for, whatever page of it. */
