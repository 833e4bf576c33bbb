import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../http/answers.ts'
import { bodyText } from '../http/body.ts'
import { IdempotencyHeaders, locationHeader, refusals, writeResponse } from '../http/schema.ts'
import { Problem } from '../problems.ts'
import type { Asked } from '../tables/create-table.ts'
import { type BegunRun, beginRun, type RunContext } from './begin-run.ts'
import { finishRun } from './finish-run.ts'
import { type RunProgress, setSequence, takeNext } from './move-run.ts'
import type { RunRow } from './queries.ts'
import { nextText, runText } from './run-json.ts'
import { CreateRun, FinishRun, NextCommit, Run, RunParams, SetSequence } from './schema.ts'

/** `/runs`: begin and finish them, and take their numbers. */
export const runRoutes: FastifyPluginAsyncTypebox<RunContext> = async (app, context) => {
  app.post(
    '/runs',
    {
      bodyLimit: runBytesMax,
      schema: {
        operationId: 'createRun',
        tags: ['runs'],
        summary: 'Begin a run, or resume it',
        description:
          'Where there is a run of this `runId` it is answered as it is, with 200, finished or not: a pipeline that starts again sends the same request. `label`, `metadata` and `commitSequence` are those of the first time.',
        headers: IdempotencyHeaders,
        body: CreateRun,
        response: {
          200: writeResponse('Resumed.', Run, locationHeader),
          201: writeResponse('Begun.', Run, locationHeader),
          ...refusals(...ofBodies),
        },
      },
    },
    async (request, reply) => {
      const asked = askedFor<BegunRun>(request, ({ run, isNew }) => ({
        status: isNew ? 201 : 200,
        text: runText(run),
        headers: { location: `/runs/${encodeURIComponent(run.runId)}` },
      }))
      const { body } = request
      return sendOutcome(reply, await beginRun(context, { body, text: bodyText(request) }, asked))
    },
  )

  app.post(
    '/runs/:runId/next',
    {
      schema: {
        operationId: 'nextCommit',
        tags: ['runs'],
        summary: 'Take the next number of a run',
        description:
          'Nobody else is given the number. The answer has the `idempotency` pair for each proposal that is committed under it, to one table or to several. Repeated with its Idempotency-Key, the number is the same. A number that is not used in the end is found among the gaps.',
        headers: IdempotencyHeaders,
        params: RunParams,
        response: {
          200: writeResponse('The number.', NextCommit),
          ...refusals(...ofChanges),
        },
      },
    },
    async (request, reply) => {
      const asked = askedFor(request, (progress: RunProgress) => ({ text: nextText(progress) }))
      return sendOutcome(reply, await takeNext(context, request.params.runId, asked))
    },
  )

  app.put(
    '/runs/:runId/sequence',
    {
      bodyLimit: runBytesMax,
      schema: {
        operationId: 'setSequence',
        tags: ['runs'],
        summary: 'Go on from a number',
        description:
          'As from a checkpoint of the pipeline, further on or back. Numbers that are passed over are no gaps. A number that is given out again is a duplicate in the tables that have it.',
        headers: IdempotencyHeaders,
        params: RunParams,
        body: SetSequence,
        response: {
          200: writeResponse('The run.', Run),
          ...refusals(...ofChanges),
        },
      },
    },
    async (request, reply) => {
      const change = { ...request.params, ...request.body }
      const asked = askedFor(request, (run: RunRow) => ({ text: runText(run) }))
      return sendOutcome(reply, await setSequence(context, change, asked))
    },
  )

  app.post(
    '/runs/:runId/finish',
    {
      bodyLimit: runBytesMax,
      schema: {
        operationId: 'finishRun',
        tags: ['runs'],
        summary: 'Say how a run ended',
        description:
          'It gives out no more numbers then, and stays as it is; to finish it once more in the same way changes nothing. What is committed under numbers given out before is still recorded.',
        headers: IdempotencyHeaders,
        params: RunParams,
        body: FinishRun,
        response: {
          200: writeResponse('The run, finished.', Run),
          ...refusals(...ofChanges),
        },
      },
    },
    async (request, reply) => {
      const { body, params } = request
      const asked = askedFor(request, (run: RunRow) => ({ text: runText(run) }))
      const finish = { ...params, body, text: bodyText(request) }
      return sendOutcome(reply, await finishRun(context, finish, asked))
    },
  )
}

/** A run is told of in few words. */
const runBytesMax = 16 * 1024

const ofBodies = [
  'invalid-json',
  'invalid-idempotency-key',
  'idempotency-in-progress',
  'body-too-large',
  'unsupported-media-type',
  'idempotency-key-reused',
] as const

const ofChanges = ['run-not-found', 'run-finished', ...ofBodies] as const

/** How a success is answered; with 200 where nothing else is said. */
interface Success {
  text: string
  status?: number
  headers?: Record<string, string>
}

function askedFor<Result>(
  request: FastifyRequest,
  succeed: (result: Result) => Success,
): Asked<Result> {
  return {
    idempotent: idempotentRequest(request),
    answer: (result) => {
      if (result instanceof Problem) return problemAnswer(result, request)
      const { text, status = 200, headers = {} } = succeed(result)
      return jsonAnswer(status, text, headers)
    },
  }
}
