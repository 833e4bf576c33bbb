import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { Verdict } from '../commits/unit.ts'
import { memberSources } from '../delta/json.ts'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../http/answers.ts'
import { bodyText } from '../http/body.ts'
import { objectText } from '../http/json-text.ts'
import { IdempotencyHeaders, refusals, writeResponse } from '../http/schema.ts'
import type { Answer, WriteOutcome } from '../idempotency/rules.ts'
import { resultsText } from './entry-json.ts'
import type { StateProposal, StateResult } from './operations.ts'
import { receiveComparisons, receiveOperations } from './receive-operations.ts'
import { ofWriting, type StateRoutesContext } from './routes.ts'
import { Batch, BatchResult, NamespaceParams, Txn, TxnResult } from './schema.ts'

const ofBatches = [
  ...ofWriting,
  'invalid-json',
  'body-too-large',
  'too-many-actions',
  'unsupported-media-type',
] as const

/** `/state/:namespace/batch` and `/txn`: operations on several entries at one moment. */
export const stateBatchRoutes: FastifyPluginAsyncTypebox<StateRoutesContext> = async (
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

async function submit(
  { committer, namespaces }: StateRoutesContext,
  request: FastifyRequest,
  { proposal, text }: Asked,
): Promise<WriteOutcome> {
  const { namespace } = request.params as { namespace: string }
  const answer = (verdict: Verdict): Answer => {
    if (verdict.kind === 'refused') return problemAnswer(verdict.problem, request)
    const [result] = verdict.state
    if (result === undefined) throw new Error('a proposal to the state had no result')
    return jsonAnswer(200, text(result))
  }
  const known = await namespaces.make(namespace)
  return committer.submit({
    parts: [],
    state: [{ ...known, ...proposal }],
    idempotent: idempotentRequest(request),
    answer,
  })
}
