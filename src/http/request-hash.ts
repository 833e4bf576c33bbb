import { createHash, type Hash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'

/** The hash by which a repeated request is known for the same one, before its body. */
export function beginHash({ method, url, headers }: FastifyRequest): Hash {
  return createHash('sha256').update(`${method} ${url}\n${headers['content-type'] ?? ''}\n`)
}
