import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { ErrorObject } from 'ajv'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { toProblem } from '../database/sqlstate.ts'
import { Problem } from '../problems.ts'
import { toFaults } from './validation.ts'

export const problemType = 'application/problem+json'

/** Every refusal of the server leaves through here: a `Problem` as itself, all else translated into one. */
export function installProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = fromError(error)
    if (problem.code === 'internal') request.log.error({ err: error }, 'the request failed')
    else if (problem.status >= 500) request.log.warn({ err: error }, problem.message)
    return sendProblem(request, reply, problem)
  })
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      request,
      reply,
      new Problem('route-not-found', `Nothing is served at ${request.method} ${pathOf(request)}.`),
    ),
  )
}

/** Answers with a problem document. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem) {
  return reply
    .code(problem.status)
    .headers(problem.headers)
    .type(problemType)
    .send(JSON.stringify(problem.document(request.id)))
}

/** For what fails before there is a request: a broken request line, too many headers, too slow a client. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const problem =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new Problem('header-too-large', 'The headers of the request are over 16 KiB.')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new Problem('request-timeout', 'The request did not arrive whole in the allowed time.')
        : new Problem('invalid-request', 'The request is not well-formed HTTP.')
  const body = JSON.stringify(problem.document('unknown'))
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nContent-Type: ${problemType}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}

function fromError(error: FastifyError): Problem {
  if (error instanceof Problem) return error
  if (error.validation !== undefined) return fromValidation(error)
  return fromFramework(error) ?? toProblem(error) ?? internal(error)
}

function fromValidation(error: FastifyError): Problem {
  const part = error.validationContext ?? 'body'
  const root = part === 'body' ? '' : `/${part === 'querystring' ? 'query' : part}`
  const errors = toFaults(error.validation as ErrorObject[], root)
  const first = errors[0]
  const more = errors.length > 1 ? ` And ${errors.length - 1} more.` : ''
  return new Problem(
    'invalid-request',
    `In the ${part === 'querystring' ? 'query' : part}: ${first?.pointer ?? ''} ${first?.message ?? ''}.${more}`,
    { facts: { errors } },
  )
}

function fromFramework(error: FastifyError): Problem | undefined {
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_INVALID_TYPE':
      return new Problem('unsupported-media-type', 'The body must be JSON (application/json).', {
        facts: { supported: ['application/json'] },
      })
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Problem('body-too-large', 'The body is larger than this address takes.')
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new Problem('invalid-request', 'The body is not as long as Content-Length says.')
    case 'FST_ERR_BAD_URL':
      return new Problem('invalid-request', 'The address is not well percent-encoded.')
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new Problem('uri-too-long', 'A part of the path is too long.')
    default:
      return undefined
  }
}

function internal(error: Error): Problem {
  return new Problem('internal', 'The service failed. The log has the cause under this instance.', {
    cause: error,
  })
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0]?.slice(0, 200) ?? ''
}
