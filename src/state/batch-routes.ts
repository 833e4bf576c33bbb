import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { memberSources } from '../delta/json.ts'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../http/answers.ts'
import { bodyText } from '../http/body.ts'
import { objectText } from '../http/json-text.ts'
import { IdempotencyHeaders, refusals, writeResponse } from '../http/schema.ts'
import type { WriteOutcome } from '../idempotency/rules.ts'
import type { FenceBody } from '../locks/fence-schema.ts'
import { toFences } from '../locks/fences.ts'
import { Problem } from '../problems.ts'
import { resultsText } from './entry-json.ts'
import type { StateProposal, StateResult } from './operations.ts'
import { Batch, BatchResult, Txn, TxnResult } from './operations-schema.ts'
import { receiveComparisons, receiveOperations, type StateLimits } from './receive-operations.ts'
import { NamespaceParams, ofWriting } from './schema.ts'
import { type StateContext, submitProposal } from './submit-proposal.ts'

const ofBatches = [
  ...ofWriting,
  'invalid-json',
  'method-not-allowed',
  'body-too-large',
  'too-many-actions',
  'unsupported-media-type',
] as const

/** `/state/:namespace/batch` and `/txn`: operations on several entries at one moment. */
export const stateBatchRoutes: FastifyPluginAsyncTypebox<StateContext & StateLimits> = async (
  app,
  context,
) => {
  app.post(
    '/state/:namespace/batch',
    {
      schema: {
        operationId: 'batchEntries',
        tags: ['state'],
        summary: 'Write and read several entries together',
        description:
          'All operations are done at one moment and one revision. A read sees what operations before it have written. With `atomic: false` those that are refused have no effect and the others do; the answer is 200 either way.',
        headers: IdempotencyHeaders,
        params: NamespaceParams,
        body: Batch,
        response: {
          200: writeResponse('What became of each operation.', BatchResult),
          ...refusals(...ofBatches),
        },
      },
    },
    async (request, reply) => {
      const { atomic = true, operations } = request.body
      const text = memberSources(bodyText(request)).get('operations') ?? '[]'
      const received = receiveOperations(operations, text, {
        pointer: '/operations',
        limits: context,
      })
      const outcome = await submit(context, request, {
        proposal: { operations: received, isAtomic: atomic },
        text: (result) =>
          objectText({ revision: String(result.revision), results: resultsText(result) }),
      })
      return sendOutcome(reply, outcome)
    },
  )

  app.post(
    '/state/:namespace/txn',
    {
      schema: {
        operationId: 'compareEntries',
        tags: ['state'],
        summary: 'Write entries depending on what others are',
        description:
          'Compares, and does `then` where all comparisons hold, else `else`, at one moment and one revision. Either may be left out. An operation that is refused by a condition of its own refuses the whole.',
        headers: IdempotencyHeaders,
        params: NamespaceParams,
        body: Txn,
        response: {
          200: writeResponse('What was found and done.', TxnResult),
          ...refusals(...ofBatches),
        },
      },
    },
    async (request, reply) => {
      const { compare, then = [], else: otherwise = [] } = request.body
      const sources = memberSources(bodyText(request))
      const received = (operations: typeof then, member: string) =>
        receiveOperations(operations, sources.get(member) ?? '[]', {
          pointer: `/${member}`,
          limits: context,
        })
      const outcome = await submit(context, request, {
        proposal: {
          compare: receiveComparisons(compare, sources.get('compare') ?? '[]'),
          operations: received(then, 'then'),
          otherwise: received(otherwise, 'else'),
          isAtomic: true,
        },
        text: (result) =>
          objectText({
            succeeded: String(result.succeeded),
            revision: String(result.revision),
            results: resultsText(result),
          }),
      })
      return sendOutcome(reply, outcome)
    },
  )
}

/** What is asked for, and how what becomes of it is told. */
interface Asked {
  proposal: Omit<StateProposal, 'namespaceId' | 'namespace'>
  text: (result: StateResult) => string
}

function submit(
  context: StateContext,
  request: FastifyRequest,
  { proposal, text }: Asked,
): Promise<WriteOutcome> {
  const { namespace } = request.params as { namespace: string }
  const { fences } = request.body as { fences?: FenceBody[] }
  return submitProposal(context, {
    namespace,
    proposal,
    fences: toFences(fences),
    idempotent: idempotentRequest(request),
    answer: (result) =>
      result instanceof Problem ? problemAnswer(result, request) : jsonAnswer(200, text(result)),
  })
}
