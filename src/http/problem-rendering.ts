import type { ErrorObject } from 'ajv'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { toProblem } from '../database/sqlstate.ts'
import { Problem } from '../problems.ts'
import { invalidRequest, type RequestPart, toFaults } from './faults.ts'
import { bodyTooLarge } from './lines.ts'

export const problemType = 'application/problem+json'

/** Every refusal of the server leaves through here: a `Problem` as itself, all else translated into one. */
export function installProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = fromError(error, request)
    if (problem.code === 'internal') request.log.error({ err: error }, 'the request failed')
    else if (problem.status >= 500) request.log.warn({ err: error }, problem.message)
    // Fastify would close the connection on whoever still sends a body that was refused, before the answer is read.
    if (reply.hasHeader('connection')) reply.removeHeader('connection')
    return sendProblem(request, reply, problem)
  })
  app.setNotFoundHandler((request, reply) => sendProblem(request, reply, routeNotFound(request)))
  // No body would make the address right, so none is read.
  app.addHook('onRequest', async (request) => {
    if (request.is404) throw routeNotFound(request)
  })
}

/** Answers with a problem document. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem) {
  return reply
    .code(problem.status)
    .headers(problem.headers)
    .type(problemType)
    .send(JSON.stringify(problem.document(request.id)))
}

/** For an address that cannot be routed. No hook has seen the request. */
export function answerBadAddress(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const problem =
    error.code === 'FST_ERR_MAX_PARAM_LENGTH'
      ? new Problem('uri-too-long', 'A part of the path is longer than 1000 characters.')
      : new Problem('invalid-request', 'The path is not UTF-8 in percent-encoding.')
  reply.header('x-request-id', request.id)
  void sendProblem(request, reply, problem)
}

function fromError(error: FastifyError, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error
  if (error.validation !== undefined) return fromValidation(error)
  return fromFramework(error, request) ?? toProblem(error) ?? internal(error)
}

function fromValidation(error: FastifyError): Problem {
  const context = error.validationContext ?? 'body'
  const part = context === 'querystring' ? 'query' : (context as RequestPart)
  return invalidRequest(part, toFaults(error.validation as ErrorObject[], part))
}

/** Errors of Fastify and its plugins that a caller can cause. */
function fromFramework(error: FastifyError, request: FastifyRequest): Problem | undefined {
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return bodyTooLarge(request.routeOptions.bodyLimit)
  if (request.raw.destroyed && !request.raw.complete) {
    return new Problem('invalid-request', 'The connection ended in the middle of the request.')
  }
  const { code, statusCode = 500 } = error
  if (statusCode >= 500 || !code?.startsWith('FST_')) return undefined
  return statusCode === 403 || statusCode === 404
    ? routeNotFound(request)
    : new Problem('invalid-request', `${error.message}.`, { cause: error })
}

function internal(error: Error): Problem {
  return new Problem('internal', 'The service failed. The log has the cause under this instance.', {
    cause: error,
  })
}

function routeNotFound(request: FastifyRequest): Problem {
  const path = request.url.split('?', 1)[0]?.slice(0, 200) ?? ''
  return new Problem('route-not-found', `Nothing is served at ${request.method} ${path}.`)
}
