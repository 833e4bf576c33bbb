import { Problem } from '../problems.ts'

/** What is known of a namespace's past. */
export interface NamespaceHistory {
  namespaceId: number
  namespace: string
  /** The newest. */
  revision: number
  /** The oldest revision that the history tells of whole. */
  historyFrom: number
  /** The oldest that history and archive together tell of whole; null where nothing was archived. */
  archiveFrom: number | null
}

/** Throws `revision-not-found` or `history-not-available` where it cannot be told what was there at a revision. Pure. */
export function refuseUnknownRevision(
  { namespace, revision: newest, historyFrom, archiveFrom }: NamespaceHistory,
  revision: number,
): void {
  if (revision > newest) {
    throw new Problem(
      'revision-not-found',
      `The newest revision of "${namespace}" is ${newest}, so nothing is known of revision ${revision}.`,
      { facts: { currentRevision: newest } },
    )
  }
  const oldest = archiveFrom === null ? historyFrom : Math.min(archiveFrom, historyFrom)
  if (revision >= oldest) return
  throw new Problem(
    'history-not-available',
    `Revision ${revision} lies before the history of "${namespace}", which begins at revision ${oldest}.`,
    { facts: { historyFrom: oldest } },
  )
}
