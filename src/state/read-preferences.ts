import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Db } from '../database/connect.ts'
import { isRead, preferReads } from '../http/read-preference.ts'
import { findReadPreference } from './namespaces/queries.ts'

/** What namespaces say of reads that say nothing themselves. */
export interface ReadPreferences {
  /** As the header of this name; undefined where nothing is set, or where that is not known. */
  find: (namespace: string) => Promise<string | undefined>
}

export interface ReadPreferencesOptions {
  db: Db
  /** Without replicas nothing depends on them. */
  hasReplicas: boolean
}

const keptMax = 10_000
/** After so long what was set at another server holds here too. */
const keptMs = 1000

interface Kept {
  preference: Promise<string | undefined>
  until: number
}

/** Keeps what is set for a moment, so that a read costs no journey more. */
export function createReadPreferences({
  db,
  hasReplicas,
}: ReadPreferencesOptions): ReadPreferences {
  const kept = new Map<string, Kept>()
  return {
    async find(namespace) {
      if (!hasReplicas) return undefined
      const known = kept.get(namespace)
      const now = performance.now()
      if (known !== undefined && known.until > now) return known.preference
      if (kept.size >= keptMax) kept.clear()
      // While the primary is away, what it said last still holds: replicas may answer then.
      const preference = findReadPreference(db, namespace).catch(() => known?.preference)
      kept.set(namespace, { preference, until: now + keptMs })
      return preference
    },
  }
}

/** Has reads of a namespace go where the namespace says, where they do not say it themselves. Call it before the routes. */
export function installNamespaceReads(app: FastifyInstance, preferences: ReadPreferences): void {
  const prefer = async (request: FastifyRequest) => {
    const { namespace } = request.params as { namespace: string }
    const preference = await preferences.find(namespace)
    if (preference !== undefined) preferReads(request, preference)
  }
  app.addHook('onRoute', (route) => {
    if (route.url.startsWith('/state/:namespace') && isRead(route)) {
      route.preHandler = [route.preHandler ?? [], prefer].flat()
    }
  })
}
