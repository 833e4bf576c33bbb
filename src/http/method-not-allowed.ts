import { METHODS } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Problem } from '../problems.ts'

/** Answers 405 with `Allow` at every address that exists for other methods. Call it before the routes. */
export function installMethodNotAllowed(app: FastifyInstance): { afterRoutes: () => void } {
  // What Fastify does not know, such as PROPFIND, it would answer with 404. CONNECT never comes as a request.
  const unknown = METHODS.filter((name) => !app.supportedMethods.includes(name))
  for (const name of unknown) if (name !== 'CONNECT') app.addHttpMethod(name, { hasBody: true })
  const allowed = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const known = allowed.get(url) ?? new Set<string>()
    for (const name of [method].flat()) known.add(name)
    allowed.set(url, known)
  })
  const refuseOthers = () => {
    for (const [url, known] of [...allowed]) {
      const missing = app.supportedMethods.filter((name) => !known.has(name))
      if (url.startsWith('/docs') || missing.length === 0) continue
      const allow = [...known].sort().join(', ')
      // Refused before the body is looked at: no body would make the method right.
      const refuse = async ({ method }: FastifyRequest) => {
        throw new Problem('method-not-allowed', `${method} is not allowed here; use ${allow}.`, {
          headers: { allow },
        })
      }
      app.route({
        url,
        method: missing,
        schema: { hide: true },
        onRequest: refuse,
        handler: refuse,
      })
    }
  }
  return { afterRoutes: () => void app.register(async () => refuseOthers()) }
}
