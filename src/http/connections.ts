import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { Problem } from '../problems.ts'
import { invalidRequest } from './faults.ts'
import { problemType } from './problem-rendering.ts'

/** The newest request of each connection, with its answer: what breaks after it must not be taken for it. */
const newest = new WeakMap<Socket, { request: IncomingMessage; response: ServerResponse }>()

/** Options of the HTTP server, so that what fails beside the routes is told as a problem too. */
export function connectionOptions(requestMsMax: number, log: FastifyBaseLogger) {
  return {
    requestTimeout: requestMsMax,
    http: {
      // Node waits no longer for a head than for a whole request, but only when told at once.
      requestTimeout: requestMsMax,
      connectionsCheckingInterval: Math.min(requestMsMax, checkMsMax),
      // Without this Node answers alone, with no problem document.
      requireHostHeader: false,
    },
    clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) =>
      answerBroken(error, socket, log),
  }
}

const checkMsMax = 1000

/** Notes the requests of each connection, and refuses those without the header that HTTP/1.1 demands. */
export function installConnections(app: FastifyInstance): void {
  app.server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    newest.set(request.socket, { request, response })
  })
  // No expectation is known beyond 100-continue, which Node meets, and none has to be (RFC 9110, 10.1.1).
  app.server.on('checkExpectation', (request, response) => {
    app.server.emit('request', request, response)
  })
  app.addHook('onRequest', async ({ raw }) => {
    if (raw.httpVersion !== '1.1' || raw.headers.host !== undefined) return
    throw invalidRequest('headers', [{ pointer: '/headers/host', message: 'is missing' }])
  })
}

/** Answers what fails before there is a request: a broken request line, too many headers, too slow a client. */
function answerBroken(error: NodeJS.ErrnoException, socket: Socket, log: FastifyBaseLogger): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const answer = () => {
    const instance = randomUUID()
    const problem = toProblem(error)
    log.info({ reqId: instance, reason: error.code, status: problem.status }, 'broken request')
    socket.end(answerText(problem, instance))
  }
  const last = newest.get(socket)
  if (last === undefined) answer()
  else if (!last.request.complete) {
    // It is this request that broke; its answer may be on its way already.
    if (last.response.headersSent) socket.destroy()
    else answer()
  } else if (last.response.writableFinished) answer()
  // The request before the broken one is still at work: its answer comes first.
  else last.response.once('finish', answer)
}

function toProblem(error: NodeJS.ErrnoException): Problem {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Problem('header-too-large', 'The head of the request is over 16 KiB.')
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem(
        'request-timeout',
        'The request did not arrive whole in the allowed time. Send it again, faster or smaller.',
      )
    case 'HPE_INVALID_EOF_STATE':
      return new Problem('invalid-request', 'The connection ended in the middle of the request.')
    default:
      return new Problem('invalid-request', 'The request is not well-formed HTTP.')
  }
}

function answerText(problem: Problem, instance: string): string {
  const body = JSON.stringify(problem.document(instance))
  const lines = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `Content-Type: ${problemType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${instance}`,
    'Connection: close',
  ]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}
