import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Problem } from '../problems.ts'

const texts = new WeakMap<FastifyRequest, string>()

/** The text of the body as it was received, for what must keep every token of it. */
export function bodyText(request: FastifyRequest): string {
  return texts.get(request) ?? ''
}

/** Reads JSON bodies into values and NDJSON bodies as text; both must be UTF-8. */
export function installBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const keepText = (request: FastifyRequest, bytes: Buffer): string => {
    if (!isUtf8(bytes)) throw new Problem('invalid-json', 'The body is not UTF-8.')
    const text = bytes.toString('utf8')
    texts.set(request, text)
    return text
  }
  const parseAs = { parseAs: 'buffer' as const }
  app.addContentTypeParser<Buffer>(
    'application/json',
    parseAs,
    async (request: FastifyRequest, bytes: Buffer) => parseJson(keepText(request, bytes)),
  )
  app.addContentTypeParser<Buffer>(
    'application/x-ndjson',
    parseAs,
    async (request: FastifyRequest, bytes: Buffer) => keepText(request, bytes),
  )
  app.addHook('preValidation', async (request) => {
    if (request.routeOptions.schema?.body === undefined || request.body !== undefined) return
    throw new Problem('invalid-request', 'A body is required.', {
      facts: { errors: [{ pointer: '', message: 'a body is required' }] },
    })
  })
}

/** Parses a text of a caller's; the problem says where reading stopped. */
export function parseJson(text: string): unknown {
  if (text.trim() === '') throw new Problem('invalid-json', 'The body is empty; JSON is required.')
  try {
    return JSON.parse(text)
  } catch (error) {
    const { message } = error as SyntaxError
    throw new Problem('invalid-json', `The body is not JSON: ${message.slice(0, 200)}.`)
  }
}
