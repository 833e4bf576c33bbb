import type { FastifyInstance } from 'fastify'

/** Where clients reach this server: the URL that is set, or where it listens once it does. */
export function ownAddress(app: FastifyInstance, url: string | undefined): () => string {
  return () => url ?? app.listeningOrigin
}
