import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../../http/answers.ts'
import { IdempotencyHeaders, refusals, writeResponse } from '../../http/schema.ts'
import { whileWanted } from '../../http/while-wanted.ts'
import { Problem } from '../../problems.ts'
import { TransactionParams } from '../schema.ts'
import type { Reserved } from './judge-request.ts'
import { type ReserveContext, reserveTables } from './reserve-tables.ts'
import { Reservations, ReserveTables } from './schema.ts'

/** What the routes of reservations need. */
export type ReservationRoutesContext = ReserveContext

/** `/transactions/:id/reserve`: tables for one transaction alone, until it ends. */
export const reservationRoutes: FastifyPluginAsyncTypebox<ReservationRoutesContext> = async (
  app,
  context,
) => {
  // Who waits would hold up a stop for as long as he may wait.
  app.addHook('preClose', context.reservationWaiters.stop)

  app.post(
    '/transactions/:id/reserve',
    {
      schema: {
        operationId: 'reserveTables',
        tags: ['transactions'],
        summary: 'Reserve tables for the transaction, until it ends',
        description:
          'All of them or none. Until the transaction is committed, rolled back or expired, nobody else writes to them: commits, other transactions, drops get 409 `table-reserved`, at once. Reading goes on. What the transaction has already is no fault. With `waitMs` the request waits while others have the tables, the oldest transaction first. Where transactions come to wait for each other in a circle, at whatever servers, the one of the lowest priority gives way, of several the youngest: it gets 409 `deadlock` with the cycle, loses its reservations and stays active.',
        headers: IdempotencyHeaders,
        params: TransactionParams,
        body: ReserveTables,
        response: {
          200: writeResponse('Reserved.', Reservations),
          ...refusals(
            'transaction-not-found',
            'transaction-not-active',
            'table-not-found',
            'table-dropped',
            'table-reserved',
            'deadlock',
            'invalid-transaction',
            'invalid-json',
            'body-too-large',
            'unsupported-media-type',
            'invalid-idempotency-key',
            'idempotency-in-progress',
            'idempotency-key-reused',
          ),
        },
      },
    },
    async (request, reply) => {
      const { tables, waitMs = 0 } = request.body
      const outcome = await whileWanted(request, (signal) =>
        reserveTables(
          context,
          { transactionId: request.params.id, tables, waitMs, signal },
          {
            idempotent: idempotentRequest(request),
            answer: (result: Reserved | Problem) =>
              result instanceof Problem
                ? problemAnswer(result, request)
                : jsonAnswer(200, reservedText(result)),
          },
        ),
      )
      return sendOutcome(reply, outcome)
    },
  )
}

function reservedText({ transaction: { id, expiresAt }, tables }: Reserved): string {
  return JSON.stringify({ transactionId: id, expiresAt, tables })
}
