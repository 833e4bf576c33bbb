import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../http/answers.ts'
import { IdempotencyHeaders, refusals, writeResponse } from '../http/schema.ts'
import { Problem } from '../problems.ts'
import { TableParams } from '../tables/schema.ts'
import { type AskedCheckpoint, type CheckpointNowContext, checkpointNow } from './checkpoint-now.ts'
import { CheckpointAnswer } from './schema.ts'

/** `/tables/:id/mirror/checkpoint`: checkpoints on demand. */
export const checkpointRoutes: FastifyPluginAsyncTypebox<CheckpointNowContext> = async (
  app,
  context,
) => {
  app.post(
    '/tables/:id/mirror/checkpoint',
    {
      schema: {
        operationId: 'writeCheckpoint',
        tags: ['mirror'],
        summary: 'Write a checkpoint',
        description:
          'Writes the checkpoint of the newest published version into the `_delta_log`, and answers when it is there. Every `delta.checkpointInterval` versions this happens by itself.',
        headers: IdempotencyHeaders,
        params: TableParams,
        response: {
          200: writeResponse('The checkpoint.', CheckpointAnswer),
          ...refusals(
            'table-not-found',
            'checkpoint-not-possible',
            'location-not-allowed',
            'storage-unavailable',
            'invalid-idempotency-key',
            'idempotency-in-progress',
            'idempotency-key-reused',
            'unsupported-media-type',
            'invalid-json',
            'body-too-large',
            'overloaded',
          ),
        },
      },
    },
    async (request, reply) => {
      const outcome = await checkpointNow(context, request.params.id, {
        idempotent: idempotentRequest(request),
        answer: (result) =>
          result instanceof Problem
            ? problemAnswer(result, request)
            : jsonAnswer(200, JSON.stringify(tell(result))),
      })
      return sendOutcome(reply, outcome)
    },
  )
}

function tell(checkpoint: AskedCheckpoint) {
  const { tableId, version, numActions, numAddFiles, sizeInBytes, top, files } = checkpoint
  return {
    tableId,
    version,
    spec: top === undefined ? 'v1' : 'v2',
    numActions,
    numAddFiles,
    sizeInBytes,
    files: files.map((file) => ({
      path: file.name,
      sizeInBytes: file.sizeInBytes,
      numActions: file.numActions,
    })),
  }
}
