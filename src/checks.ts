import type { Config } from './config.ts'
import type { Db } from './database/connect.ts'
import { listPendingMigrations } from './database/migrate.ts'
import type { ReplicaSight, Replicas } from './database/replicas/replicas.ts'
import { NoPrimaryError } from './database/route.ts'
import type { Checks } from './http/health.ts'
import type { AdvisorySession } from './locks/advisory/session.ts'
import { findRole } from './maintenance/queries.ts'
import type { Publisher } from './mirror/publisher.ts'

/** What `/health/ready` looks at. */
interface Looked {
  config: Config
  db: Db
  publisher: Pick<Publisher, 'status'>
  replicas: Replicas
  advisorySession: AdvisorySession
}

/** What must hold for a server to be ready. */
export function createChecks({ config, db, publisher }: Looked): Checks {
  const unreachable = 'the database cannot be reached'
  return {
    database: () =>
      findRole(db).then(
        (role) =>
          role === 'primary' ? undefined : 'the database is a standby, and takes no writes',
        (error) => (error instanceof NoPrimaryError ? 'no primary can be reached' : unreachable),
      ),
    migrations: () =>
      listPendingMigrations(db).then(
        (pending) =>
          pending.length === 0 ? undefined : `migrations are pending: ${pending.join(', ')}`,
        () => unreachable,
      ),
    mirror: async () => {
      const { lagMs, states } = publisher.status()
      if (lagMs <= config.mirrorLagMsMax) return undefined
      const tables = (states.behind ?? 0) + (states.retrying ?? 0)
      return `${tables} tables wait to be published, the longest for ${Math.round(lagMs / 1000)} s`
    },
  }
}

/** What whoever runs the server should know, though it is ready. */
export function listNotes({ publisher, replicas, advisorySession }: Looked): string[] {
  return [
    ...publisher.status().restingStores.map(restingNote),
    ...replicas.list().flatMap(replicaNote),
    ...advisoryNote(advisorySession),
  ]
}

function restingNote(store: string): string {
  return `nothing is published to the store ${store} for now, because several tables failed`
}

function advisoryNote({ status }: AdvisorySession): string[] {
  const now = status()
  return now.state === 'refused' ? [`no advisory locks can be held: ${now.reason}`] : []
}

function replicaNote({ name, healthy, lastFault }: ReplicaSight): string[] {
  if (healthy) return []
  return [`nothing is read from the replica ${name}: ${lastFault?.fault ?? 'it was not asked yet'}`]
}
