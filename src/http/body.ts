import { TextDecoder } from 'node:util'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Problem } from '../problems.ts'
import { invalidRequest } from './faults.ts'
import { parseJson } from './json-reading.ts'
import { bodyTooLarge, LinesBody } from './lines.ts'
import { beginHash } from './request-hash.ts'

const jsonType = 'application/json'
const ndjsonType = 'application/x-ndjson'
const bytesType = 'application/octet-stream'

const texts = new WeakMap<FastifyRequest, string>()

/** The text of the body as it was received, for what must keep every token of it. */
export function bodyText(request: FastifyRequest): string {
  return texts.get(request) ?? ''
}

/**
 * Reads JSON bodies into values; NDJSON bodies become `LinesBody`. Refused are bodies that are not UTF-8, of a type that
 * the route does not take, too large, missing where one is needed, or with fields where none is taken.
 */
export function installBodies(app: FastifyInstance, limits: { linesBytesMax: number }): void {
  app.removeAllContentTypeParsers()
  const decoder = new TextDecoder('utf-8', { fatal: true })
  app.addContentTypeParser<Buffer>(
    jsonType,
    { parseAs: 'buffer' },
    async (request: FastifyRequest, bytes: Buffer) => {
      const text = decode(decoder, bytes)
      if (text.trim() === '') return undefined
      texts.set(request, text)
      return parseJson(text)
    },
  )
  app.addContentTypeParser(ndjsonType, async (request: FastifyRequest) => {
    const sizes = { bytesMax: limits.linesBytesMax, lineBytesMax: request.routeOptions.bodyLimit }
    return new LinesBody(request.raw, beginHash(request), sizes)
  })
  app.addContentTypeParser<Buffer>(
    '*',
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, bytes: Buffer) => (bytes.length > 0 ? bytes : undefined),
  )
  app.addHook('preParsing', async (request) => {
    if (carriesBody(request)) refuseUnreadableBody(request, limits.linesBytesMax)
  })
  app.addHook('preValidation', async (request) => checkPresence(request))
}

function decode(decoder: TextDecoder, bytes: Buffer): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new Problem('invalid-json', 'The body is not UTF-8.', { cause })
  }
}

function carriesBody({ method, headers }: FastifyRequest): boolean {
  if (method === 'GET' || method === 'HEAD') return false
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** What the head of a request tells of its body is refused before the body is read. */
function refuseUnreadableBody(request: FastifyRequest, linesBytesMax: number): void {
  const { headers, routeOptions } = request
  const supported = supportedTypes(request)
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding.toLowerCase() !== 'identity') {
    throw new Problem(
      'unsupported-media-type',
      `A body in Content-Encoding ${encoding} is not read. Send it as it is.`,
      { facts: { supported } },
    )
  }
  const type = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type === undefined || !isAmong(type, supported)) {
    const given = type === undefined ? 'has no Content-Type' : `is ${type.slice(0, 200)}`
    throw new Problem(
      'unsupported-media-type',
      `The body ${given}; here it must be ${supported.join(' or ')}.`,
      { facts: { supported } },
    )
  }
  const bytesMax = type === ndjsonType ? linesBytesMax : routeOptions.bodyLimit
  if (Number(headers['content-length'] ?? 0) > bytesMax) throw bodyTooLarge(bytesMax)
}

/** Who takes bytes takes them by any name; but lines are read by those alone who ask for them. */
function isAmong(type: string, supported: readonly string[]): boolean {
  return supported.includes(type) || (supported.includes(bytesType) && type !== ndjsonType)
}

/** The types of body that a route takes; one that takes none bears an empty object. */
function supportedTypes(request: FastifyRequest): string[] {
  const { body } = request.routeOptions.schema ?? {}
  const content = (body as { content?: object } | undefined)?.content
  return Object.keys(content ?? { [jsonType]: body })
}

/** Whether a body may be left out, which then is an empty object; OpenAPI says so in the same way. */
export function isOptionalBody(schema: unknown): boolean {
  return (schema as { required?: unknown } | undefined)?.required === false
}

function checkPresence(request: FastifyRequest): void {
  const { body, routeOptions } = request
  const isTaken = routeOptions.schema?.body !== undefined
  if (isTaken && body === undefined) {
    if (isOptionalBody(routeOptions.schema?.body)) {
      request.body = {}
      return
    }
    throw invalidRequest('body', [{ pointer: '', message: 'is missing; send one' }])
  }
  if (isTaken || body === undefined) return
  const isEmpty = typeof body === 'object' && body !== null && Object.keys(body).length === 0
  if (!isEmpty) {
    throw invalidRequest('body', [{ pointer: '', message: 'is not taken here; leave it out' }])
  }
}
