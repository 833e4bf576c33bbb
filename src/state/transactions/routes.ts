import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { memberSources } from '../../delta/json.ts'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../../http/answers.ts'
import { bodyText } from '../../http/body.ts'
import { ownAddress } from '../../http/own-address.ts'
import {
  IdempotencyHeaders,
  jsonResponse,
  locationHeader,
  refusals,
  writeResponse,
} from '../../http/schema.ts'
import { Problem, type ProblemCode } from '../../problems.ts'
import type { Asked } from '../../tables/create-table.ts'
import type { Namespaces } from '../namespaces.ts'
import type { StateLimits } from '../receive-operations.ts'
import { type BeginContext, beginTransaction } from './begin-transaction.ts'
import { commitTransaction, type EndContext, rollBackTransaction } from './end-transaction.ts'
import type { StateTransactionRow } from './queries.ts'
import { receiveTransactionOperations } from './receive.ts'
import { runOperations, type TransactionSizes } from './run-operations.ts'
import {
  BeginStateTransaction,
  StateTransaction,
  StateTransactionParams,
  TransactionOperations,
  TransactionResults,
} from './schema.ts'
import { runResultsText, stateTransactionText } from './transaction-json.ts'
import { getEnded, getOpen } from './use-transaction.ts'

/** What the routes of interactive transactions need. */
export interface StateTransactionRoutesContext
  extends Omit<BeginContext, 'address'>,
    Omit<EndContext, 'address'>,
    StateLimits,
    TransactionSizes {
  namespaces: Namespaces
  /** Where clients reach this server; where it listens, by default. */
  serverUrl: string | undefined
}

const ofKeys: ProblemCode[] = [
  'invalid-json',
  'invalid-idempotency-key',
  'idempotency-in-progress',
  'body-too-large',
  'unsupported-media-type',
  'idempotency-key-reused',
]

const ofOpen: ProblemCode[] = [
  'transaction-not-found',
  'transaction-not-active',
  'transaction-elsewhere',
  ...ofKeys,
]

/** `/state/transactions`: read and write entries over several requests, then commit all of it or roll it back. */
export const stateTransactionRoutes: FastifyPluginAsyncTypebox<
  StateTransactionRoutesContext
> = async (app, services) => {
  const context = { ...services, address: ownAddress(app, services.serverUrl) }
  const { openTransactions, namespaces } = services

  app.post(
    '/state/transactions',
    {
      schema: {
        operationId: 'beginStateTransaction',
        tags: ['state'],
        summary: 'Begin an interactive transaction',
        description:
          'It is in the memory of this server, and all that is done with it is done here: elsewhere it gets 421 with this `server`. It ends by itself when it is left alone for `idleTimeoutMs`, at `expiresAt`, and when the server stops. STATE_TRANSACTIONS_OPEN_MAX may be open at a server; more get 429.',
        headers: IdempotencyHeaders,
        body: BeginStateTransaction,
        response: {
          201: writeResponse('It is begun.', StateTransaction, locationHeader),
          ...refusals(...ofKeys),
        },
      },
    },
    async (request, reply) => {
      const outcome = await beginTransaction(context, request.body, {
        idempotent: idempotentRequest(request),
        answer: (result) => {
          if (result instanceof Problem) return problemAnswer(result, request)
          const headers = { location: `/state/transactions/${result.id}` }
          return jsonAnswer(201, stateTransactionText(result), headers)
        },
      })
      return sendOutcome(reply, outcome)
    },
  )

  app.get(
    '/state/transactions/:txId',
    {
      schema: {
        operationId: 'getStateTransaction',
        tags: ['state'],
        summary: 'Look up an interactive transaction',
        description:
          'One that is open at its server alone, which counts as a request to it; one that is over at every server, for a day at least.',
        params: StateTransactionParams,
        response: {
          200: jsonResponse('The transaction.', StateTransaction),
          ...refusals('transaction-not-found', 'transaction-elsewhere'),
        },
      },
    },
    async (request, reply) => {
      const { txId } = request.params
      const open = openTransactions.find(txId)
      const text =
        open === undefined
          ? stateTransactionText(await getEnded(context, txId))
          : await open.run(async () => stateTransactionText(open.row, open))
      return reply.type('application/json').send(text)
    },
  )

  app.post(
    '/state/transactions/:txId/operations',
    {
      schema: {
        operationId: 'runStateOperations',
        tags: ['state'],
        summary: 'Read and write in a transaction',
        description:
          'Reads see what the transaction has written itself, and of others what its level says. A namespace that is spoken of is made where there is none. Nobody else sees its writes before the commit. An operation that is refused refuses the request, and leaves the transaction as it was. A key may be written any number of times; its last write is committed.',
        headers: IdempotencyHeaders,
        params: StateTransactionParams,
        body: TransactionOperations,
        response: {
          200: jsonResponse('What became of each operation.', TransactionResults),
          ...refusals(...ofOpen, 'serialization-failure', 'version-mismatch', 'too-many-actions'),
        },
      },
    },
    async (request, reply) => {
      const { params, body } = request
      const source = memberSources(bodyText(request)).get('operations') ?? '[]'
      const operations = receiveTransactionOperations(body.operations, source, services)
      const open = await getOpen(context, params.txId)
      const outcome = await open.once(idempotentRequest(request), async () => {
        const namespace = await namespaces.make(body.namespace)
        const results = await runOperations(open, namespace, { operations, sizes: services })
        return jsonAnswer(200, runResultsText(body.namespace, results))
      })
      return sendOutcome(reply, outcome)
    },
  )

  app.post(
    '/state/transactions/:txId/commit',
    {
      schema: {
        operationId: 'commitStateTransaction',
        tags: ['state'],
        summary: 'Commit a transaction',
        description:
          'All of its writes take effect at one moment, in each namespace at one revision, or none. A refusal ends the transaction: 409 `serialization-failure` where others have changed what it was decided on, with `retry: true` when the same done anew may succeed. Committed again, it is answered as the first time.',
        headers: IdempotencyHeaders,
        params: StateTransactionParams,
        response: {
          200: writeResponse('It is committed.', StateTransaction),
          ...refusals(
            ...ofOpen,
            'serialization-failure',
            'version-mismatch',
            'precondition-required',
          ),
        },
      },
    },
    async (request, reply) =>
      sendOutcome(reply, await commitTransaction(context, request.params.txId, askedFor(request))),
  )

  app.post(
    '/state/transactions/:txId/rollback',
    {
      schema: {
        operationId: 'rollBackStateTransaction',
        tags: ['state'],
        summary: 'Roll a transaction back',
        description: 'Nothing that it has written takes effect.',
        headers: IdempotencyHeaders,
        params: StateTransactionParams,
        response: {
          200: writeResponse('It is rolled back.', StateTransaction),
          ...refusals(...ofOpen),
        },
      },
    },
    async (request, reply) =>
      sendOutcome(
        reply,
        await rollBackTransaction(context, request.params.txId, askedFor(request)),
      ),
  )
}

function askedFor(request: FastifyRequest): Asked<StateTransactionRow> {
  return {
    idempotent: idempotentRequest(request),
    answer: (result) =>
      result instanceof Problem
        ? problemAnswer(result, request)
        : jsonAnswer(200, stateTransactionText(result)),
  }
}
