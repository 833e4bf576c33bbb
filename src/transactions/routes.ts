import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { ofJudging } from '../commits/schema.ts'
import type { Db } from '../database/connect.ts'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../http/answers.ts'
import { bodyText } from '../http/body.ts'
import { sendList, toPage } from '../http/lists.ts'
import {
  IdempotencyHeaders,
  jsonResponse,
  listResponse,
  locationHeader,
  PageQuery,
  refusals,
  strictObject,
  writeResponse,
} from '../http/schema.ts'
import { Problem } from '../problems.ts'
import { tableIdPattern } from '../tables/rules.ts'
import { commitTransaction, type TransactionContext } from './commit-transaction.ts'
import { listTransactions, type TransactionRow } from './queries.ts'
import { listReserved } from './reservations/queries.ts'
import {
  CreateTransaction,
  Transaction,
  TransactionList,
  TransactionParams,
  TransactionStateSchema,
} from './schema.ts'
import { type BeginContext, beginTransaction } from './staged/begin-transaction.ts'
import { listStagedNamespaces } from './staged/state-queries.ts'
import { listStagedTables } from './staged/table-queries.ts'
import { getTransaction } from './staged/use-transaction.ts'
import {
  type ShownTransaction,
  stagedTablesText,
  transactionSummaryText,
  transactionText,
} from './transaction-json.ts'

/** What the routes of transactions need. */
export type TransactionRoutesContext = TransactionContext & BeginContext

/** `/transactions`: commit to several tables together, or begin to; and look up what has become of that. */
export const transactionRoutes: FastifyPluginAsyncTypebox<TransactionRoutesContext> = async (
  app,
  context,
) => {
  const { db } = context

  app.post(
    '/transactions',
    {
      schema: {
        operationId: 'createTransaction',
        tags: ['transactions'],
        summary: 'Commit to several tables together or not at all',
        description:
          'Without `commit: true` the transaction is begun, with the tables that are named staged; more can follow until it is committed. With `commit: true` the request is the whole transaction: 201 once all tables have their new version, with one inCommitTimestamp, and the id of the transaction as `txnId` in their commitInfo. A refusal names the table in `table` and `tableIndex`, and nothing of any table is written. Tables can be made, dropped and brought back among it. A table whose `idempotency` pair is there already is answered as a duplicate, and the others are committed.',
        headers: IdempotencyHeaders,
        body: CreateTransaction,
        response: {
          201: writeResponse('Committed, or begun.', Transaction, locationHeader),
          ...refusals(
            ...ofJudging,
            'invalid-json',
            'invalid-idempotency-key',
            'table-not-found',
            'table-dropped',
            'table-reserved',
            'table-name-taken',
            'location-taken',
            'version-conflict',
            'idempotency-in-progress',
            'version-mismatch',
            'precondition-required',
            'body-too-large',
            'too-many-actions',
            'unsupported-media-type',
            'invalid-actions',
            'invalid-table',
            'location-not-allowed',
            'invalid-transaction',
            'idempotency-key-reused',
            'storage-unavailable',
          ),
        },
      },
    },
    async (request, reply) => {
      const { body } = request
      const begin = body.commit === true ? commitTransaction : beginTransaction
      const outcome = await begin(
        context,
        { body, text: bodyText(request) },
        {
          idempotent: idempotentRequest(request),
          answer: (result: ShownTransaction | Problem) => {
            if (result instanceof Problem) return problemAnswer(result, request)
            const headers = { location: `/transactions/${result.id}` }
            return jsonAnswer(201, transactionText(result), headers)
          },
        },
      )
      return sendOutcome(reply, outcome)
    },
  )

  app.get(
    '/transactions',
    {
      schema: {
        operationId: 'listTransactions',
        tags: ['transactions'],
        summary: 'List transactions, newest first',
        description: 'Without their tables; `GET /transactions/{id}` tells of these.',
        querystring: strictObject({
          state: Type.Optional(TransactionStateSchema),
          ...PageQuery,
        }),
        response: {
          200: listResponse('A page of transactions.', TransactionList),
          ...refusals('invalid-cursor'),
        },
      },
    },
    (request, reply) => {
      const { state } = request.query
      return sendList(request, reply, {
        name: `transactions/${state ?? ''}`,
        position: TransactionPlace,
        readPage: async (after, limit) => {
          const rows = await listTransactions(db, { state }, { after, limit: limit + 1 })
          return toPage(rows, limit, {
            json: transactionSummaryText,
            position: ({ createdAt, id }) => ({ createdAt: Date.parse(createdAt), id }),
          })
        },
      })
    },
  )

  app.get(
    '/transactions/:id',
    {
      schema: {
        operationId: 'getTransaction',
        tags: ['transactions'],
        summary: 'Look up a transaction',
        description:
          'A committed one as its commit was answered; one under way with what is staged.',
        params: TransactionParams,
        response: {
          200: jsonResponse('The transaction.', Transaction),
          ...refusals('transaction-not-found'),
        },
      },
    },
    async (request, reply) => {
      const found = await getTransaction(db, request.params.id)
      const answer = jsonAnswer(200, transactionText(await withTables(db, found)))
      return sendOutcome(reply, { answer, replayed: false })
    },
  )
}

async function withTables(db: Db, row: TransactionRow): Promise<ShownTransaction> {
  if (row.state !== 'active' && row.state !== 'committing') return row
  const [tables, reservations, stagedState] = await Promise.all([
    listStagedTables(db, row.id),
    listReserved(db, row.id),
    listStagedNamespaces(db, row.id),
  ])
  return { ...row, tables: stagedTablesText(tables), reservations, stagedState }
}

/** The place of a transaction in their list, up to the last time that RFC 3339 can tell. */
const TransactionPlace = Type.Object({
  createdAt: Type.Integer({ minimum: 0, maximum: 253_402_300_799_999 }),
  id: Type.String({ pattern: tableIdPattern }),
})
