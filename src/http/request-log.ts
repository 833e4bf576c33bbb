import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { trace } from '@opentelemetry/api'
import type { FastifyInstance, FastifyRequest } from 'fastify'

/** Takes the caller's X-Request-Id over if it can be logged and answered as it is, else makes one. */
export function requestIdOf(request: { headers: IncomingMessage['headers'] }): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && /^[\x21-\x7e]{1,200}$/.test(given) ? given : randomUUID()
}

/** Answers every request with its id and logs it in one line. */
export function installRequestLog(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
  app.addHook('onResponse', async (request, reply) => {
    request.log.info(
      {
        method: request.method,
        route: request.routeOptions.url,
        status: reply.statusCode,
        durationMs: Math.round(reply.elapsedTime * 1000) / 1000,
        ...namesOf(request, reply.getHeader('location')),
        ...(request.trace && { trace: trace.getSpanContext(request.trace)?.traceId }),
      },
      'request',
    )
  })
  app.addHook('onRequestAbort', async (request) => {
    request.log.info({ method: request.method, route: request.routeOptions.url }, 'request aborted')
  })
}

const nounOf: Record<string, string> = {
  tables: 'table',
  transactions: 'transaction',
  runs: 'run',
}

/** The table, transaction or run that the address of a request names, or that it has made. */
function namesOf({ routeOptions, params }: FastifyRequest, made: unknown): Record<string, string> {
  const { id, runId, tableId, txId } = (params ?? {}) as Record<string, string | undefined>
  const noun = nounOf[routeOptions.url?.split('/')[1] ?? '']
  const name = id ?? runId ?? (typeof made === 'string' ? made.split('/')[2] : undefined)
  return {
    ...(noun !== undefined && name !== undefined && { [noun]: name }),
    ...(tableId !== undefined && { table: tableId }),
    ...(txId !== undefined && { transaction: txId }),
  }
}
