import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { tracer } from '../tracing/spans.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What its spans lie in. Undefined where nothing is traced. */
    trace: Context | undefined
  }
}

const idOfTransaction = /^\/transactions\/([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})(?:\/|$)/

/**
 * Tells of every request in a span of the caller's trace (`traceparent`). Without one, what is asked of a transaction goes
 * into one trace, whose id is that of the transaction without its hyphens; of these `share`, from 0 to 1, are told.
 */
export function installRequestSpans(app: FastifyInstance, { share }: { share: number }): void {
  app.decorateRequest('trace', undefined)
  app.addHook('onRequest', async (request) => {
    const caller = propagation.extract(ROOT_CONTEXT, request.headers)
    const own = trace.getSpanContext(caller) ? undefined : traceOfTransaction(request.url, share)
    const parent = own === undefined ? caller : trace.setSpanContext(caller, own)
    const { method } = request
    const route = request.routeOptions.url ?? 'none'
    const attributes = {
      'http.request.method': method,
      'http.route': route,
      'deltaworks.request': request.id,
      ...(own !== undefined && { 'deltaworks.transaction': uuidOf(own.traceId) }),
    }
    const span = tracer().startSpan(
      `${method} ${route}`,
      { kind: SpanKind.SERVER, attributes },
      parent,
    )
    request.trace = trace.setSpan(parent, span)
  })
  app.addHook('preHandler', (request, _reply, done) => {
    context.with(request.trace ?? ROOT_CONTEXT, done)
  })
  app.addHook('onResponse', async (request, reply) => {
    endSpan(request, reply.statusCode, reply.getHeader('location'))
  })
  app.addHook('onRequestAbort', async (request) => endSpan(request, 499, undefined))
}

function endSpan(request: FastifyRequest, status: number, location: unknown): void {
  const span = trace.getSpan(request.trace ?? ROOT_CONTEXT)
  if (span === undefined) return
  span.setAttribute('http.response.status_code', status)
  if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
  const made = typeof location === 'string' ? traceOfTransaction(location, 1) : undefined
  if (made !== undefined) {
    span.setAttribute('deltaworks.transaction', uuidOf(made.traceId))
    span.addLink({ context: made })
  }
  span.end()
}

function traceOfTransaction(path: string, share: number): SpanContext | undefined {
  const traceId = idOfTransaction.exec(path)?.[1]?.replaceAll('-', '')
  if (traceId === undefined) return undefined
  const isTold = Number.parseInt(traceId.slice(0, 8), 16) < share * 2 ** 32
  const traceFlags = isTold ? TraceFlags.SAMPLED : TraceFlags.NONE
  return { traceId, spanId: traceId.slice(16), traceFlags, isRemote: true }
}

function uuidOf(traceId: string): string {
  return traceId.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
