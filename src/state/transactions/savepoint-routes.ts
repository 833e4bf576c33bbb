import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { idempotentRequest, jsonAnswer, sendOutcome } from '../../http/answers.ts'
import { ownAddress } from '../../http/own-address.ts'
import { IdempotencyHeaders, jsonResponse, refusals } from '../../http/schema.ts'
import type { ProblemCode } from '../../problems.ts'
import type { OpenTransaction } from './open-transaction.ts'
import { savepointNotFound, tooMuch } from './rules.ts'
import {
  SavepointParams,
  SetSavepoint,
  StateTransaction,
  StateTransactionParams,
} from './schema.ts'
import { stateTransactionText } from './transaction-json.ts'
import { type FindContext, getOpen } from './use-transaction.ts'

const savepointsMax = 100

const ofSavepoints: ProblemCode[] = [
  'transaction-not-found',
  'transaction-not-active',
  'transaction-elsewhere',
  'invalid-json',
  'invalid-idempotency-key',
  'body-too-large',
  'unsupported-media-type',
  'idempotency-key-reused',
]

/** What the routes of savepoints need. */
export interface SavepointRoutesContext extends Omit<FindContext, 'address'> {
  serverUrl: string | undefined
}

/** `/state/transactions/:txId/savepoints`: places in a transaction that it can go back to. */
export const savepointRoutes: FastifyPluginAsyncTypebox<SavepointRoutesContext> = async (
  app,
  services,
) => {
  const context = { ...services, address: ownAddress(app, services.serverUrl) }

  async function change(request: FastifyRequest, { status, work }: SavepointChange) {
    const { txId } = request.params as { txId: string }
    const open = await getOpen(context, txId)
    return open.once(idempotentRequest(request), async () => {
      work(open)
      return jsonAnswer(status, stateTransactionText(open.row, open))
    })
  }

  app.post(
    '/state/transactions/:txId/savepoints',
    {
      schema: {
        operationId: 'setSavepoint',
        tags: ['state'],
        summary: 'Set a savepoint',
        description:
          'What is written from here on can be undone, and the transaction gone on with.',
        headers: IdempotencyHeaders,
        params: StateTransactionParams,
        body: SetSavepoint,
        response: {
          201: jsonResponse('It is set.', StateTransaction),
          ...refusals(...ofSavepoints, 'too-many-actions'),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.body
      const work = ({ buffer }: OpenTransaction) => {
        const count = buffer.savepoints.length + 1
        if (count > savepointsMax) throw tooMuch('savepoints', count, savepointsMax)
        buffer.setSavepoint(name)
      }
      return sendOutcome(reply, await change(request, { status: 201, work }))
    },
  )

  app.post(
    '/state/transactions/:txId/savepoints/:name/rollback',
    {
      schema: {
        operationId: 'rollBackToSavepoint',
        tags: ['state'],
        summary: 'Go back to a savepoint',
        description:
          'What was written since is undone, and savepoints that were set since are gone. The savepoint itself stays. What was read since still counts as read.',
        headers: IdempotencyHeaders,
        params: SavepointParams,
        response: {
          200: jsonResponse('The transaction.', StateTransaction),
          ...refusals(...ofSavepoints, 'savepoint-not-found'),
        },
      },
    },
    async (request, reply) => {
      const { txId, name } = request.params
      const work = ({ buffer }: OpenTransaction) => {
        if (!buffer.rollBackTo(name)) throw savepointNotFound(txId, name)
      }
      return sendOutcome(reply, await change(request, { status: 200, work }))
    },
  )

  app.post(
    '/state/transactions/:txId/savepoints/:name/release',
    {
      schema: {
        operationId: 'releaseSavepoint',
        tags: ['state'],
        summary: 'Forget a savepoint',
        description: 'What was written since stays. Savepoints that were set since are gone, too.',
        headers: IdempotencyHeaders,
        params: SavepointParams,
        response: {
          200: jsonResponse('The transaction.', StateTransaction),
          ...refusals(...ofSavepoints, 'savepoint-not-found'),
        },
      },
    },
    async (request, reply) => {
      const { txId, name } = request.params
      const work = ({ buffer }: OpenTransaction) => {
        if (!buffer.release(name)) throw savepointNotFound(txId, name)
      }
      return sendOutcome(reply, await change(request, { status: 200, work }))
    },
  )
}

/** What is done to a transaction, and the status of the answer. It throws a `Problem` where it does nothing. */
interface SavepointChange {
  status: number
  work: (open: OpenTransaction) => void
}
