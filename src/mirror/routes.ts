import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../http/answers.ts'
import { sendList, toPage } from '../http/lists.ts'
import {
  IdempotencyHeaders,
  jsonResponse,
  listResponse,
  PageQuery,
  refusals,
  strictObject,
  writeResponse,
} from '../http/schema.ts'
import { Problem } from '../problems.ts'
import type { Asked } from '../tables/create-table.ts'
import { getTable } from '../tables/get-table.ts'
import type { TableRow } from '../tables/queries.ts'
import { tableIdPattern } from '../tables/rules.ts'
import { TableParams } from '../tables/schema.ts'
import { type AdoptContext, adoptCommits } from './adopt-commits.ts'
import { listMirrors, type TableMirror } from './queries.ts'
import { retryMirror } from './retry-mirror.ts'
import { mirrorState } from './rules.ts'
import { MirrorFilter, MirrorState, RetryQuery, TableMirrorList } from './schema.ts'
import { setMirrorPaused } from './set-paused.ts'

/** `/tables/:id/mirror` and `/mirror`: how far commits are published, and what to do about it. */
export const mirrorRoutes: FastifyPluginAsyncTypebox<AdoptContext> = async (app, context) => {
  app.get(
    '/tables/:id/mirror',
    {
      schema: {
        operationId: 'getMirror',
        tags: ['mirror'],
        summary: 'How far a table is published',
        description:
          'Every commit is published to the `_delta_log` of its table, in order. Where somebody else has written there, `fork` shows what either side has.',
        params: TableParams,
        response: { 200: jsonResponse('The mirror.', MirrorState), ...refusals('table-not-found') },
      },
    },
    async (request, reply) => {
      const state = mirrorState(await getTable(request.reads.db, request.params.id))
      return sendOutcome(reply, { answer: jsonAnswer(200, JSON.stringify(state)), replayed: false })
    },
  )

  app.get(
    '/mirror',
    {
      schema: {
        operationId: 'listMirrors',
        tags: ['mirror'],
        summary: 'How far all tables are published',
        description: 'By table id, dropped tables too, whose commits are published to the last.',
        querystring: strictObject({ ...MirrorFilter, ...PageQuery }),
        response: {
          200: listResponse('A page of mirrors.', TableMirrorList),
          ...refusals('invalid-cursor'),
        },
      },
    },
    (request, reply) => {
      const { state } = request.query
      return sendList(request, reply, {
        name: `mirror/${state ?? ''}`,
        position: Type.String({ pattern: tableIdPattern }),
        readPage: async (after, limit) => {
          const rows = await listMirrors(request.reads.db, { state }, { after, limit: limit + 1 })
          return toPage(rows, limit, { json: mirrorText, position: ({ tableId }) => tableId })
        },
      })
    },
  )

  for (const isPaused of [true, false]) {
    const { path, ...about } = isPaused ? pause : resume
    app.post(
      path,
      {
        schema: {
          ...about,
          tags: ['mirror'],
          headers: IdempotencyHeaders,
          params: TableParams,
          response: changeResponses,
        },
      },
      async (request, reply) => {
        const change = { table: request.params.id, isPaused }
        return sendOutcome(reply, await setMirrorPaused(context, change, asked(request)))
      },
    )
  }

  app.post(
    '/tables/:id/mirror/retry',
    {
      schema: {
        operationId: 'retryMirror',
        tags: ['mirror'],
        summary: 'Try at once to publish a table',
        description:
          'Forgets what failed before, a fork too, and publishes in the background, unless the mirror is paused. Where everything is published it looks for commits of others behind the newest version. With `policy=adopt` these become versions of the table, read as `POST /tables/import` reads a log; refused when a version of that number was committed here. Nothing in the folder is overwritten or removed either way.',
        headers: IdempotencyHeaders,
        params: TableParams,
        querystring: RetryQuery,
        response: retryResponses,
      },
    },
    async (request, reply) => {
      const retry = request.query.policy === 'adopt' ? adoptCommits : retryMirror
      return sendOutcome(reply, await retry(context, request.params.id, asked(request)))
    },
  )
}

const pause = {
  path: '/tables/:id/mirror/pause',
  operationId: 'pauseMirror',
  summary: 'Publish nothing of a table for now',
  description:
    'Lasts until `resume`, whatever restarts. Once it is answered, no server publishes a version of the table. Commits go on.',
}

const resume = {
  path: '/tables/:id/mirror/resume',
  operationId: 'resumeMirror',
  summary: 'Go on publishing a table',
  description: 'A mirror that is not paused stays as it is.',
}

const changed = { 200: writeResponse('The mirror, as it is now.', MirrorState) }

const changeRefusals = [
  'table-not-found',
  'invalid-idempotency-key',
  'idempotency-in-progress',
  'idempotency-key-reused',
  'unsupported-media-type',
  'invalid-json',
  'body-too-large',
] as const

const changeResponses = { ...changed, ...refusals(...changeRefusals) }

const retryResponses = {
  ...changed,
  ...refusals(
    ...changeRefusals,
    'table-dropped',
    'table-reserved',
    'not-adoptable',
    'location-not-allowed',
    'delta-log-invalid',
    'storage-unavailable',
  ),
}

function asked(request: FastifyRequest): Asked<TableRow> {
  return {
    idempotent: idempotentRequest(request),
    answer: (result) =>
      result instanceof Problem
        ? problemAnswer(result, request)
        : jsonAnswer(200, JSON.stringify(mirrorState(result))),
  }
}

function mirrorText(mirror: TableMirror): string {
  const { tableId, name, location, version, droppedAt } = mirror
  const table = { tableId, name, location, version, ...(droppedAt !== null && { droppedAt }) }
  return JSON.stringify({ ...table, ...mirrorState(mirror) })
}
