import type { Db } from '../database/connect.ts'
import { findNamespaceId, makeNamespaces } from './queries.ts'

/** A namespace as a request names it. */
export interface Namespace {
  namespaceId: number
  namespace: string
}

/** Finds namespaces by name. */
export interface Namespaces {
  /** The namespace of this name, which is made where there is none. */
  make: (namespace: string) => Promise<Namespace>
  /** The namespaces of these names, in their order; those are made that are not there. */
  makeAll: (names: readonly string[]) => Promise<Namespace[]>
  find: (namespace: string) => Promise<Namespace | undefined>
  /** Has all looked up anew: another primary may never have got what this one made last. */
  forget: () => void
}

const keptMax = 10_000

/** Namespaces are never removed, so the id of one that was found once is known for as long as the primary stays. */
export function createNamespaces(db: Db): Namespaces {
  const ids = new Map<string, number>()

  function keep({ namespace, namespaceId }: Namespace): void {
    if (ids.size >= keptMax) ids.clear()
    ids.set(namespace, namespaceId)
  }

  async function makeAll(names: readonly string[]): Promise<Namespace[]> {
    const known = new Map(names.map((name) => [name, ids.get(name)]))
    const unknown = names.filter((name) => known.get(name) === undefined)
    for (const made of unknown.length > 0 ? await makeNamespaces(db, unknown) : []) {
      known.set(made.namespace, made.namespaceId)
      keep(made)
    }
    return names.map((namespace) => ({ namespace, namespaceId: known.get(namespace) as number }))
  }

  return {
    async make(namespace) {
      const [made] = await makeAll([namespace])
      return made as Namespace
    },
    makeAll,
    async find(namespace) {
      const known = ids.get(namespace)
      if (known !== undefined) return { namespace, namespaceId: known }
      const namespaceId = await findNamespaceId(db, namespace)
      if (namespaceId === undefined) return undefined
      keep({ namespace, namespaceId })
      return { namespace, namespaceId }
    },
    forget: () => ids.clear(),
  }
}
