import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { memberSources } from '../../delta/json.ts'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../../http/answers.ts'
import { bodyText } from '../../http/body.ts'
import { IdempotencyHeaders, refusals, writeResponse } from '../../http/schema.ts'
import { Problem } from '../../problems.ts'
import { readState } from '../receive-state.ts'
import { StagedState, StageState, TransactionParams } from '../schema.ts'
import { stagedStateText } from '../transaction-json.ts'
import { type StageStateContext, stageState } from './stage-state.ts'
import type { StagedNamespace } from './state-queries.ts'

/** `/transactions/:id/state`: stage operations on the state, to be done with what is staged for tables. */
export const transactionStateRoutes: FastifyPluginAsyncTypebox<StageStateContext> = async (
  app,
  context,
) => {
  app.post(
    '/transactions/:id/state',
    {
      schema: {
        operationId: 'stageState',
        tags: ['transactions'],
        summary: 'Stage operations on the state',
        description:
          'They are done when the transaction is committed, at the same moment as what is proposed to its tables. An operation takes the place of one that is staged for the same entry; what is staged for others stays. What is expected of versions is judged at the commit. STATE_OPERATIONS_MAX operations may be staged in all, and BODY_BYTES_MAX bytes of them.',
        headers: IdempotencyHeaders,
        params: TransactionParams,
        body: StageState,
        response: {
          200: writeResponse('Durable, and to be done with the transaction.', StagedState),
          ...refusals(
            'transaction-not-found',
            'transaction-not-active',
            'invalid-json',
            'invalid-idempotency-key',
            'idempotency-in-progress',
            'idempotency-key-reused',
            'body-too-large',
            'too-many-actions',
            'unsupported-media-type',
          ),
        },
      },
    },
    async (request, reply) => {
      const { body, params } = request
      const text = memberSources(bodyText(request)).get('state') ?? '[]'
      const received = readState(body.state, text, context)
      const outcome = await stageState(
        context,
        { id: params.id, received },
        {
          idempotent: idempotentRequest(request),
          answer: (result: StagedNamespace[] | Problem) =>
            result instanceof Problem
              ? problemAnswer(result, request)
              : jsonAnswer(200, stagedStateText(result)),
        },
      )
      return sendOutcome(reply, outcome)
    },
  )
}
