import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { getCommit } from '../commits/history.ts'
import type { Db } from '../database/connect.ts'
import { jsonAnswer, sendOutcome } from '../http/answers.ts'
import { sendList, toPage } from '../http/lists.ts'
import {
  jsonResponse,
  LinePosition,
  listResponse,
  PageQuery,
  refusals,
  strictObject,
  Version,
} from '../http/schema.ts'
import { Problem } from '../problems.ts'
import { getTable } from '../tables/get-table.ts'
import { TableParams } from '../tables/schema.ts'
import {
  allFiles,
  beforeFiles,
  findAppTransaction,
  listActionsInForce,
  listFiles,
} from './queries.ts'
import { readVersions } from './read-versions.ts'
import {
  AppTransactionParams,
  AppTransactionState,
  CreateSnapshot,
  FileList,
  Snapshot,
  SnapshotQuery,
  SnapshotSet,
  VersionQuery,
} from './schema.ts'
import { appTransactionText, snapshotText } from './snapshot-json.ts'

/** What the routes of snapshots need. */
export interface SnapshotRoutesContext {
  db: Db
}

/** Tables as they stand, or stood at a version or a time: one with its files, or the versions of several together. */
export const snapshotRoutes: FastifyPluginAsyncTypebox<SnapshotRoutesContext> = async (
  app,
  { db },
) => {
  app.get(
    '/tables/:id/snapshot',
    {
      schema: {
        operationId: 'getSnapshot',
        tags: ['snapshots'],
        summary: 'A table at a version or a time',
        description: 'The newest version when neither is given.',
        params: TableParams,
        querystring: SnapshotQuery,
        response: {
          200: jsonResponse('The snapshot.', Snapshot),
          ...refusals('table-not-found', 'version-not-found', 'history-not-available'),
        },
      },
    },
    async (request, reply) => {
      const { db } = request.reads
      const table = await getTable(db, request.params.id)
      const commit = await getCommit(db, table, request.query)
      const inForce = await listActionsInForce(db, table.id, commit.version)
      const answer = jsonAnswer(200, snapshotText(table.id, commit, inForce))
      return sendOutcome(reply, { answer, replayed: false })
    },
  )

  app.post(
    '/snapshots',
    {
      schema: {
        operationId: 'createSnapshot',
        tags: ['snapshots'],
        summary: 'One consistent set of versions of several tables',
        description:
          'Sees every transaction whole or not at all. What the tables hold is read at the versions that are answered. Nothing is kept of it.',
        body: CreateSnapshot,
        response: {
          200: jsonResponse('The versions.', SnapshotSet),
          ...refusals(
            'table-not-found',
            'transaction-not-found',
            'version-not-found',
            'history-not-available',
            'invalid-json',
            'body-too-large',
            'unsupported-media-type',
          ),
        },
      },
    },
    async (request, reply) => {
      const text = JSON.stringify({ tables: await readVersions(db, request.body) })
      return sendOutcome(reply, { answer: jsonAnswer(200, text), replayed: false })
    },
  )

  app.get(
    '/tables/:id/files',
    {
      schema: {
        operationId: 'listFiles',
        tags: ['snapshots'],
        summary: 'Live files at a version or a time',
        description:
          'As add actions, in the order in which they were added. All pages of a list show the version that the first one showed.',
        params: TableParams,
        querystring: strictObject({ ...VersionQuery, ...PageQuery }),
        response: {
          200: listResponse('A page of files.', FileList),
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
      const { version, timestamp } = request.query
      const { db, openExport } = request.reads
      const table = await getTable(db, request.params.id)
      const commit = await getCommit(db, table, { version, timestamp })
      return sendList(request, reply, {
        name: `files/${table.id}/${version ?? ''}/${timestamp ?? ''}`,
        position: FilePlace,
        readPage: async (place, limit) => {
          const at = place?.at ?? commit.version
          const after = place ?? beforeFiles
          const snapshot = { tableId: table.id, version: at }
          const rows = await listFiles(db, snapshot, { after, limit: limit + 1 })
          const page = toPage(rows, limit, {
            json: (row) => row.add,
            position: ({ addedVersion, addedPosition }) => ({ at, addedVersion, addedPosition }),
          })
          return { ...page, members: { version: String(at) } }
        },
        openAll: (place) =>
          openExport(
            allFiles(
              { tableId: table.id, version: place?.at ?? commit.version },
              place ?? beforeFiles,
            ),
          ),
      })
    },
  )

  app.get(
    '/tables/:id/app-transactions/:appId',
    {
      schema: {
        operationId: 'getAppTransaction',
        tags: ['snapshots'],
        summary: 'How far an application has come',
        description:
          'The newest version that an application, named by its appId, has written to the table.',
        params: AppTransactionParams,
        response: {
          200: jsonResponse('The app transaction.', AppTransactionState),
          ...refusals('table-not-found', 'app-transaction-not-found'),
        },
      },
    },
    async (request, reply) => {
      const { id, appId } = request.params
      const { db } = request.reads
      const table = await getTable(db, id)
      const found = await findAppTransaction(db, table.id, appId)
      if (found === undefined) {
        const detail = `The application ${JSON.stringify(appId)} has not written to the table ${table.name}.`
        throw new Problem('app-transaction-not-found', detail)
      }
      const version = Math.max(found.version, table.historyFrom)
      const answer = jsonAnswer(200, appTransactionText({ ...found, version }))
      return sendOutcome(reply, { answer, replayed: false })
    },
  )
}

/** The place of a file in the list of those that are live at version `at`. */
const FilePlace = Type.Object({
  at: Version('The version that the list shows.'),
  addedVersion: Type.Integer({ minimum: -1, maximum: Number.MAX_SAFE_INTEGER }),
  addedPosition: LinePosition,
})
