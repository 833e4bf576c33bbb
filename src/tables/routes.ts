import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { compactJson, memberSources } from '../delta/json.ts'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../http/answers.ts'
import { bodyText } from '../http/body.ts'
import { sendList, toPage } from '../http/lists.ts'
import {
  IdempotencyHeaders,
  jsonResponse,
  listResponse,
  locationHeader,
  PageQuery,
  refusals,
  strictObject,
  writeResponse,
} from '../http/schema.ts'
import { Problem } from '../problems.ts'
import { type Asked, type CatalogContext, createTable } from './create-table.ts'
import { setTableDropped } from './drop-table.ts'
import { getTable } from './get-table.ts'
import { listTables, type TableRow } from './queries.ts'
import { tableIdPattern, tableNameStartPattern } from './rules.ts'
import { CreateTable, Table, TableList, TableName, TableParams } from './schema.ts'
import { tableText } from './table-json.ts'

/** `/tables`: make, look up, drop and bring back. */
export const tableRoutes: FastifyPluginAsyncTypebox<CatalogContext> = async (app, context) => {
  app.post(
    '/tables',
    {
      bodyLimit: definitionBytesMax,
      schema: {
        operationId: 'createTable',
        tags: ['tables'],
        summary: 'Create a table at version 0',
        description:
          'Version 0 holds commitInfo, protocol and metaData. The protocol is the lowest that the schema and the configuration need, with in-commit timestamps on.',
        headers: IdempotencyHeaders,
        body: CreateTable,
        response: {
          201: writeResponse('The table was created.', Table, locationHeader),
          ...refusals(
            'invalid-json',
            'invalid-idempotency-key',
            'table-name-taken',
            'location-taken',
            'idempotency-in-progress',
            'body-too-large',
            'unsupported-media-type',
            'invalid-table',
            'location-not-allowed',
            'idempotency-key-reused',
          ),
        },
      },
    },
    async (request, reply) => {
      const schemaJson = compactJson(memberSources(bodyText(request)).get('schema') ?? '{}')
      const outcome = await createTable(
        context,
        { body: request.body, schemaJson },
        asked(request, 201),
      )
      return sendOutcome(reply, outcome)
    },
  )

  app.get(
    '/tables',
    {
      schema: {
        operationId: 'listTables',
        tags: ['tables'],
        summary: 'List tables by name',
        description: 'Without dropped ones, or with `dropped=true` the dropped ones alone.',
        querystring: strictObject({
          namePrefix: Type.Optional(
            Type.String({
              maxLength: 255,
              pattern: tableNameStartPattern,
              description: 'How names must begin: letters, digits, "_", "-" and dots.',
            }),
          ),
          dropped: Type.Optional(
            Type.Boolean({ default: false, description: 'The dropped tables alone.' }),
          ),
          ...PageQuery,
        }),
        response: {
          200: listResponse('A page of tables.', TableList),
          ...refusals('invalid-cursor'),
        },
      },
    },
    (request, reply) => {
      const { namePrefix, dropped = false } = request.query
      return sendList(request, reply, {
        name: `tables/${dropped}/${namePrefix ?? ''}`,
        position: TablePlace,
        readPage: async (after, limit) => {
          const rows = await listTables(
            request.reads.db,
            { namePrefix, dropped },
            { after, limit: limit + 1 },
          )
          return toPage(rows, limit, {
            json: tableText,
            position: ({ name, id }) => ({ name, id }),
          })
        },
      })
    },
  )

  app.get(
    '/tables/:id',
    {
      schema: {
        operationId: 'getTable',
        tags: ['tables'],
        summary: 'Look up a table',
        description: 'By id, dropped or not; or by name, if not dropped.',
        params: TableParams,
        response: { 200: jsonResponse('The table.', Table), ...refusals('table-not-found') },
      },
    },
    async (request, reply) =>
      sendOutcome(reply, {
        answer: jsonAnswer(200, tableText(await getTable(request.reads.db, request.params.id))),
        replayed: false,
      }),
  )

  app.delete(
    '/tables/:id',
    {
      schema: {
        operationId: 'dropTable',
        tags: ['tables'],
        summary: 'Drop a table',
        description:
          'Data and history stay, and the name becomes free. The table is still found by its id, and can be brought back. Dropping it again changes nothing.',
        headers: IdempotencyHeaders,
        params: TableParams,
        response: {
          200: writeResponse('The table, dropped.', Table),
          ...refusals(...changeRefusals),
        },
      },
    },
    async (request, reply) => {
      const change = { table: request.params.id, dropped: true }
      return sendOutcome(reply, await setTableDropped(context, change, asked(request, 200)))
    },
  )

  app.post(
    '/tables/:id/undrop',
    {
      schema: {
        operationId: 'undropTable',
        tags: ['tables'],
        summary: 'Bring a dropped table back',
        description:
          'Refused when another table has taken its name. A table that is not dropped stays as it is.',
        headers: IdempotencyHeaders,
        params: TableParams,
        response: {
          200: writeResponse('The table, back.', Table),
          ...refusals('table-name-taken', ...changeRefusals),
        },
      },
    },
    async (request, reply) => {
      const change = { table: request.params.id, dropped: false }
      return sendOutcome(reply, await setTableDropped(context, change, asked(request, 200)))
    },
  )
}

/** A definition holds a schema, never data. */
const definitionBytesMax = 4 * 1024 * 1024

/** The place of a table in their list. */
const TablePlace = Type.Object({ name: TableName, id: Type.String({ pattern: tableIdPattern }) })

const changeRefusals = [
  'table-not-found',
  'table-reserved',
  'invalid-idempotency-key',
  'idempotency-in-progress',
  'idempotency-key-reused',
  'unsupported-media-type',
  'invalid-json',
  'body-too-large',
] as const

function asked(request: FastifyRequest, status: 200 | 201): Asked<TableRow> {
  return {
    idempotent: idempotentRequest(request),
    answer: (result) => {
      if (result instanceof Problem) return problemAnswer(result, request)
      const headers = status === 201 ? { location: `/tables/${result.id}` } : {}
      return jsonAnswer(status, tableText(result), headers)
    },
  }
}
