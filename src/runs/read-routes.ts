import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { jsonAnswer, sendOutcome } from '../http/answers.ts'
import { sendList, toPage } from '../http/lists.ts'
import {
  jsonResponse,
  listResponse,
  PageQuery,
  refusals,
  strictObject,
  Version,
} from '../http/schema.ts'
import { listAttempts, listGaps } from './number-queries.ts'
import { getRun, listRuns } from './queries.ts'
import { attemptText, gapText, runText } from './run-json.ts'
import {
  AttemptList,
  AttemptOutcomeSchema,
  GapList,
  Run,
  RunLabel,
  RunList,
  RunParams,
  RunStatusSchema,
} from './schema.ts'

/** `/runs`: look them up, and what became of their commits. */
export const runReadRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/runs',
    {
      schema: {
        operationId: 'listRuns',
        tags: ['runs'],
        summary: 'List runs, newest first',
        description: 'All, or those of one `status` or one `label`.',
        querystring: strictObject({
          status: Type.Optional(RunStatusSchema),
          label: Type.Optional(RunLabel),
          ...PageQuery,
        }),
        response: { 200: listResponse('A page of runs.', RunList), ...refusals('invalid-cursor') },
      },
    },
    (request, reply) => {
      const { status, label } = request.query
      return sendList(request, reply, {
        name: `runs/${status ?? ''}/${label ?? ''}`,
        position: RunPlace,
        readPage: async (after, limit) => {
          const rows = await listRuns(
            request.reads.db,
            { status, label },
            { after, limit: limit + 1 },
          )
          return toPage(rows, limit, {
            json: runText,
            position: ({ createdAt, runId }) => ({ createdAt: Date.parse(createdAt), runId }),
          })
        },
      })
    },
  )

  app.get(
    '/runs/:runId',
    {
      schema: {
        operationId: 'getRun',
        tags: ['runs'],
        summary: 'Look up a run',
        description: 'How far it has come, and how it ended.',
        params: RunParams,
        response: { 200: jsonResponse('The run.', Run), ...refusals('run-not-found') },
      },
    },
    async (request, reply) => {
      const answer = jsonAnswer(200, runText(await getRun(request.reads.db, request.params.runId)))
      return sendOutcome(reply, { answer, replayed: false })
    },
  )

  app.get(
    '/runs/:runId/attempts',
    {
      schema: {
        operationId: 'listAttempts',
        tags: ['runs'],
        summary: 'What became of the commits under a run, newest first',
        description:
          'One entry for each table of each commit whose `idempotency.appId` is the run and that was judged: committed, a duplicate, or refused by what the tables hold. It is written by the database transaction that commits or refuses. What was refused before that, for the shape or the size of the request, is not recorded, nor is an answer that was replayed for its Idempotency-Key.',
        params: RunParams,
        querystring: strictObject({
          outcome: Type.Optional(AttemptOutcomeSchema),
          commitSequence: Type.Optional(Version('Attempts under this number alone.')),
          ...PageQuery,
        }),
        response: {
          200: listResponse('A page of attempts.', AttemptList),
          ...refusals('run-not-found', 'invalid-cursor'),
        },
      },
    },
    async (request, reply) => {
      const { runId } = await getRun(request.reads.db, request.params.runId)
      const { outcome, commitSequence } = request.query
      const filter = { runId, outcome, commitSequence }
      return sendList(request, reply, {
        name: `attempts/${runId}/${outcome ?? ''}/${commitSequence ?? ''}`,
        position: Version('The last attempt that was listed.'),
        readPage: async (after, limit) => {
          const rows = await listAttempts(request.reads.db, filter, { after, limit: limit + 1 })
          return toPage(rows, limit, { json: attemptText, position: (row) => row.attemptId })
        },
      })
    },
  )

  app.get(
    '/runs/:runId/gaps',
    {
      schema: {
        operationId: 'listGaps',
        tags: ['runs'],
        summary: 'Numbers of a run that were given out and never committed',
        description:
          'In their order, those included whose commit is still under way. A number counts as committed once one table has it.',
        params: RunParams,
        querystring: strictObject(PageQuery),
        response: {
          200: listResponse('A page of gaps.', GapList),
          ...refusals('run-not-found', 'invalid-cursor'),
        },
      },
    },
    async (request, reply) => {
      const { runId } = await getRun(request.reads.db, request.params.runId)
      return sendList(request, reply, {
        name: `gaps/${runId}`,
        position: Digits,
        readPage: async (after, limit) => {
          const rows = await listGaps(request.reads.db, runId, { after, limit: limit + 1 })
          return toPage(rows, limit, {
            json: gapText,
            position: ({ commitSequence }) => String(commitSequence),
          })
        },
      })
    },
  )
}

/** The place of a run in their list, up to the last time that RFC 3339 can tell. */
const RunPlace = Type.Object({
  createdAt: Type.Integer({ minimum: 0, maximum: 253_402_300_799_999 }),
  runId: RunParams.properties.runId,
})

/** A number in its digits, for it may be beyond those that JSON is read with exactly. */
const Digits = Type.String({ pattern: '^[0-9]{1,18}$' })
