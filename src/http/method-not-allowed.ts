import type { FastifyInstance } from 'fastify'
import { Problem } from '../problems.ts'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']

/** Answers 405 with `Allow` at every address that exists for other methods. Call it before the routes. */
export function installMethodNotAllowed(app: FastifyInstance): { afterRoutes: () => void } {
  const allowed = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const known = allowed.get(url) ?? new Set<string>()
    for (const name of [method].flat()) known.add(name)
    allowed.set(url, known)
  })
  const refuseOthers = () => {
    for (const [url, known] of [...allowed]) {
      const missing = methods.filter((name) => !known.has(name))
      if (url.startsWith('/docs') || missing.length === 0) continue
      const allow = [...known].sort().join(', ')
      app.route({
        url,
        method: missing,
        schema: { hide: true },
        handler: (request) => {
          throw new Problem(
            'method-not-allowed',
            `${request.method} is not allowed here; use ${allow}.`,
            { headers: { allow } },
          )
        },
      })
    }
  }
  return { afterRoutes: () => void app.register(async () => refuseOthers()) }
}
