import type { Db } from '../database/connect.ts'
import { findNamespaceId, makeNamespace } from './queries.ts'

/** A namespace as a request names it. */
export interface Namespace {
  namespaceId: number
  namespace: string
}

/** Finds namespaces by name. */
export interface Namespaces {
  /** The namespace of this name, which is made where there is none. */
  make: (namespace: string) => Promise<Namespace>
  find: (namespace: string) => Promise<Namespace | undefined>
}

const keptMax = 10_000

/** Namespaces are never removed, so the id of one that was found once is known for good. */
export function createNamespaces(db: Db): Namespaces {
  const ids = new Map<string, number>()

  function keep(namespace: string, namespaceId: number): Namespace {
    if (ids.size >= keptMax) ids.clear()
    ids.set(namespace, namespaceId)
    return { namespace, namespaceId }
  }

  return {
    async make(namespace) {
      const namespaceId = ids.get(namespace)
      if (namespaceId !== undefined) return { namespace, namespaceId }
      return keep(namespace, await makeNamespace(db, namespace))
    },
    async find(namespace) {
      const namespaceId = ids.get(namespace)
      if (namespaceId !== undefined) return { namespace, namespaceId }
      const found = await findNamespaceId(db, namespace)
      return found === undefined ? undefined : keep(namespace, found)
    },
  }
}
