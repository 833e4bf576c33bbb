import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { ActionLines, CreateCommit, CreateCommitQuery, ofJudging } from '../../commits/schema.ts'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../../http/answers.ts'
import { bodyText } from '../../http/body.ts'
import { LinesBody } from '../../http/lines.ts'
import { IdempotencyHeaders, jsonResponse, refusals, writeResponse } from '../../http/schema.ts'
import { faultFinder, refuseMisplaced } from '../../http/validation.ts'
import { Problem, type ProblemCode } from '../../problems.ts'
import type { Asked } from '../../tables/create-table.ts'
import { readStaged } from '../entries.ts'
import type { Waiters } from '../reservations/waiters.ts'
import {
  CommitStaged,
  StageActions,
  StagedTable,
  StageTable,
  Transaction,
  TransactionParams,
  TransactionTableParams,
  TransactionValidation,
} from '../schema.ts'
import { stagedTableText, transactionText } from '../transaction-json.ts'
import type { Chunk } from './chunk.ts'
import { type CommitStagedContext, commitStaged } from './commit-staged.ts'
import {
  type Received,
  receiveActionLines,
  receiveActions,
  receiveEntry,
  receiveProposalLines,
} from './receive-staged.ts'
import { rollBack } from './roll-back.ts'
import { stageTable, unstageTable } from './stage-table.ts'
import type { StagedTableRow } from './table-queries.ts'
import { validateTransaction } from './validate.ts'

/** What the routes of staged transactions need. */
export interface StagedTransactionRoutesContext extends CommitStagedContext {
  /** Told of transactions that ended without a commit. */
  onTransactionEnd: (outcome: 'rolled-back' | 'expired', count: number) => void
  reservationWaiters: Waiters
}

const ofBodies: ProblemCode[] = ['invalid-json', 'body-too-large', 'unsupported-media-type']

const ofKeys: ProblemCode[] = [
  'transaction-not-found',
  'transaction-not-active',
  'invalid-idempotency-key',
  'idempotency-in-progress',
  'idempotency-key-reused',
  ...ofBodies,
]

const ofStaging: ProblemCode[] = [
  ...ofKeys,
  'table-not-found',
  'invalid-transaction',
  'too-many-actions',
  'invalid-table',
  'location-not-allowed',
  'storage-unavailable',
]

const isStaged = writeResponse('Durable, and to be committed with the transaction.', StagedTable)

/** `/transactions/:id/…`: stage over several requests, then commit all of it or roll it back. */
export const stagedTransactionRoutes: FastifyPluginAsyncTypebox<
  StagedTransactionRoutesContext
> = async (app, context) => {
  app.put(
    '/transactions/:id/tables/:tableId',
    {
      schema: {
        operationId: 'stageTable',
        tags: ['transactions'],
        summary: 'Stage what is proposed to a table, in place of what is staged',
        description:
          'As `application/x-ndjson` the body is the actions, one a line as in a log file; the other fields are query parameters, or stand in a first line `{"proposal": {…}}`. The tables’ rules are asked at the commit. A table is made with `create`, under the name in the address, which then is known by that name, or the `tableId` in the answer; more of its actions may follow. A table is dropped with `{"drop": true}`, and brought back with `{"undrop": true}`. What stands in another’s way, as a name that is taken, shows at the commit, where all takes effect in the order in which tables were first named.',
        headers: IdempotencyHeaders,
        params: TransactionTableParams,
        querystring: CreateCommitQuery,
        body: {
          content: {
            'application/json': { schema: StageTable },
            'application/x-ndjson': { schema: ActionLines },
          },
        },
        response: { 200: isStaged, ...refusals(...ofStaging) },
      },
    },
    async (request, reply) => {
      const { id, tableId: table } = request.params
      const entry = readEntry(request, table)
      const outcome = await stageTable(
        context,
        { id, table },
        {
          isReplacement: true,
          entry,
          receive: (chunk) =>
            entry === undefined
              ? readProposalLines(request, chunk)
              : receiveEntry(entry.entry, entry.text, chunk),
          asked: () => askedForTable(request),
        },
      )
      return sendOutcome(reply, outcome)
    },
  )

  app.post(
    '/transactions/:id/tables/:tableId/actions',
    {
      schema: {
        operationId: 'stageActions',
        tags: ['transactions'],
        summary: 'Stage more actions for a table',
        description:
          'Behind those that are staged already, any number of times. A fault names the line, and nothing of the request is staged.',
        headers: IdempotencyHeaders,
        params: TransactionTableParams,
        body: {
          content: {
            'application/json': { schema: StageActions },
            'application/x-ndjson': { schema: ActionLines },
          },
        },
        response: { 200: isStaged, ...refusals(...ofStaging) },
      },
    },
    async (request, reply) => {
      const { id, tableId: table } = request.params
      const outcome = await stageTable(
        context,
        { id, table },
        {
          isReplacement: false,
          receive: (chunk) => readActions(request, chunk),
          asked: () => askedForTable(request),
        },
      )
      return sendOutcome(reply, outcome)
    },
  )

  app.delete(
    '/transactions/:id/tables/:tableId',
    {
      schema: {
        operationId: 'unstageTable',
        tags: ['transactions'],
        summary: 'Forget what is staged for a table',
        description: 'What was read of it through the transaction still counts as read.',
        headers: IdempotencyHeaders,
        params: TransactionTableParams,
        response: {
          200: writeResponse('Nothing is staged for the table.', StagedTable),
          ...refusals(...ofKeys, 'table-not-found', 'table-not-staged'),
        },
      },
    },
    async (request, reply) => {
      const { id, tableId: table } = request.params
      return sendOutcome(reply, await unstageTable(context, { id, table }, askedForTable(request)))
    },
  )

  app.post(
    '/transactions/:id/validate',
    {
      schema: {
        operationId: 'validateTransaction',
        tags: ['transactions'],
        summary: 'Tell all that stands against a commit',
        description:
          'The same is asked at the commit, and besides conflicts with what others have committed, and fences. Nothing is written.',
        params: TransactionParams,
        response: {
          200: jsonResponse('What was found.', TransactionValidation),
          ...refusals(
            'transaction-not-found',
            'transaction-not-active',
            'too-many-actions',
            ...ofBodies,
          ),
        },
      },
    },
    async (request, reply) => {
      const violations = await validateTransaction(context, request.params.id)
      const text = JSON.stringify({ valid: violations.length === 0, violations })
      return sendOutcome(reply, { answer: jsonAnswer(200, text), replayed: false })
    },
  )

  app.post(
    '/transactions/:id/commit',
    {
      schema: {
        operationId: 'commitTransaction',
        tags: ['transactions'],
        summary: 'Commit all that is staged, or nothing',
        description:
          'Committed again, the answer is the same. After a refusal, which names the table, the transaction is active as before: stage something else, repeat, or roll it back. `fences` in the body count for this attempt, beside those that the transaction was begun with.',
        headers: IdempotencyHeaders,
        params: TransactionParams,
        body: { required: false, content: { 'application/json': { schema: CommitStaged } } },
        response: {
          200: writeResponse('Committed.', Transaction),
          ...refusals(
            ...ofKeys,
            ...ofJudging,
            'table-not-found',
            'table-dropped',
            'table-reserved',
            'table-name-taken',
            'location-taken',
            'invalid-table',
            'location-not-allowed',
            'storage-unavailable',
            'version-conflict',
            'too-many-actions',
            'invalid-actions',
            'invalid-transaction',
            'version-mismatch',
            'precondition-required',
          ),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const asked = { id, ...(request.body as CommitStaged) }
      const outcome = await commitStaged(context, asked, askedForTransaction(request))
      context.reservationWaiters.wake()
      return sendOutcome(reply, outcome)
    },
  )

  app.post(
    '/transactions/:id/rollback',
    {
      schema: {
        operationId: 'rollBackTransaction',
        tags: ['transactions'],
        summary: 'Forget all that is staged, and end the transaction',
        description: 'Nothing of it ever takes effect. What is over cannot be rolled back.',
        headers: IdempotencyHeaders,
        params: TransactionParams,
        response: { 200: writeResponse('Rolled back.', Transaction), ...refusals(...ofKeys) },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const outcome = await rollBack(context, id, askedForTransaction(request))
      const { answer, replayed } = outcome
      if (answer.status === 200 && !replayed) context.onTransactionEnd('rolled-back', 1)
      context.reservationWaiters.wake()
      return sendOutcome(reply, outcome)
    },
  )
}

function askedForTransaction(request: FastifyRequest) {
  return askedFor(request, transactionText)
}

function askedForTable(request: FastifyRequest): Asked<StagedTableRow> {
  return askedFor(request, stagedTableText)
}

function askedFor<Result>(
  request: FastifyRequest,
  textOf: (result: Result) => string,
): Asked<Result> {
  return {
    idempotent: idempotentRequest(request),
    answer: (result) =>
      result instanceof Problem ? problemAnswer(result, request) : jsonAnswer(200, textOf(result)),
  }
}

/** What a JSON body says of a table; nothing of a body of lines. */
function readEntry(request: FastifyRequest, table: string) {
  const body = request.body as StageTable | LinesBody
  if (body instanceof LinesBody) return undefined
  refuseMisplaced(request.query as CreateCommitQuery)
  return { entry: readStaged(table, body), text: bodyText(request) }
}

function readProposalLines(request: FastifyRequest, chunk: Chunk): Promise<Received> {
  const query = request.query as CreateCommitQuery
  const findFaults = faultFinder(request, CreateCommit)
  return receiveProposalLines(request.body as LinesBody, { query, findFaults }, chunk)
}

function readActions(request: FastifyRequest, chunk: Chunk): Promise<Received> {
  const body = request.body as unknown[] | LinesBody
  return body instanceof LinesBody
    ? receiveActionLines(body, { findFaults: faultFinder(request, CreateCommit) }, chunk)
    : receiveActions(body, bodyText(request), chunk)
}
