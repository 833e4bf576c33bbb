import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../http/answers.ts'
import {
  IdempotencyHeaders,
  jsonResponse,
  locationHeader,
  refusals,
  writeResponse,
} from '../http/schema.ts'
import { Problem } from '../problems.ts'
import {
  findOperation,
  findRole,
  listIndexStatistics,
  listReplicas,
  listTableStatistics,
} from './queries.ts'
import { tellOperation, tellReplica } from './rules.ts'
import {
  DatabaseStatistics,
  MaintenanceOperation,
  OperationParams,
  Replication,
  StartParams,
} from './schema.ts'
import { listSlowQueries } from './slow-queries.ts'
import { type MaintenanceContext, startOperation } from './start-operation.ts'

/** `/maintenance` and `/replication`: work on the database, and how it stands. */
export const maintenanceRoutes: FastifyPluginAsyncTypebox<MaintenanceContext> = async (
  app,
  context,
) => {
  const { db, replicas } = context

  app.post(
    '/maintenance/:kind',
    {
      schema: {
        operationId: 'startMaintenance',
        tags: ['maintenance'],
        summary: 'Start work on the database',
        description:
          'It is done in the background, one operation at a time on each server. `Location` says where to see how far it has come.',
        params: StartParams,
        headers: IdempotencyHeaders,
        response: {
          202: writeResponse('The operation was taken.', MaintenanceOperation, locationHeader),
          ...refusals(
            'invalid-json',
            'invalid-idempotency-key',
            'idempotency-in-progress',
            'body-too-large',
            'unsupported-media-type',
            'idempotency-key-reused',
          ),
        },
      },
    },
    async (request, reply) => {
      const outcome = await startOperation(context, request.params.kind, {
        idempotent: idempotentRequest(request),
        answer: (result) =>
          result instanceof Problem
            ? problemAnswer(result, request)
            : jsonAnswer(202, JSON.stringify(tellOperation(result)), {
                location: `/maintenance/operations/${result.operationId}`,
              }),
      })
      return sendOutcome(reply, outcome)
    },
  )

  app.get(
    '/maintenance/operations/:operationId',
    {
      schema: {
        operationId: 'getMaintenanceOperation',
        tags: ['maintenance'],
        summary: 'How far an operation has come',
        description:
          'Any server can tell. An operation whose server has died is told as failed after 30 s.',
        params: OperationParams,
        response: {
          200: jsonResponse('The operation.', MaintenanceOperation),
          ...refusals('operation-not-found'),
        },
      },
    },
    async (request, reply) => {
      const { operationId } = request.params
      const found = await findOperation(db, operationId)
      if (found === undefined) {
        throw new Problem('operation-not-found', `There is no operation ${operationId}.`)
      }
      const answer = jsonAnswer(200, JSON.stringify(tellOperation(found)))
      return sendOutcome(reply, { answer, replayed: false })
    },
  )

  app.get(
    '/maintenance/statistics',
    {
      schema: {
        operationId: 'getDatabaseStatistics',
        tags: ['maintenance'],
        summary: 'What the database holds',
        description:
          'Sizes and counts of the SQL tables and indexes, as PostgreSQL keeps them, and the queries that have taken most time, where pg_stat_statements counts them.',
        response: { 200: jsonResponse('The statistics.', DatabaseStatistics), ...refusals() },
      },
    },
    async (_request, reply) => {
      const tables = (await listTableStatistics(db)).map((row) => ({
        ...row,
        lastVacuum: row.lastVacuum ?? undefined,
        lastAnalyze: row.lastAnalyze ?? undefined,
      }))
      const indexes = await listIndexStatistics(db)
      const slowQueries = await listSlowQueries(db)
      const answer = jsonAnswer(200, JSON.stringify({ tables, indexes, slowQueries }))
      return sendOutcome(reply, { answer, replayed: false })
    },
  )

  app.get(
    '/replication',
    {
      schema: {
        operationId: 'getReplication',
        tags: ['maintenance'],
        summary: 'Who follows the database',
        description:
          'The role of the PostgreSQL of this server, the ones that follow it as it sees them, and those that this server reads from as it sees them itself.',
        response: { 200: jsonResponse('The replication.', Replication), ...refusals() },
      },
    },
    async (_request, reply) => {
      const replication = {
        role: await findRole(db),
        replicas: await listReplicas(db),
        readReplicas: replicas.list().map(tellReplica),
      }
      const answer = jsonAnswer(200, JSON.stringify(replication))
      return sendOutcome(reply, { answer, replayed: false })
    },
  )
}
