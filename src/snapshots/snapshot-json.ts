import type { StoredCommit } from '../commits/history.ts'
import { actionBody, memberSources } from '../delta/json.ts'
import { memberTexts, objectText } from '../http/json-text.ts'
import { statisticsText } from '../tables/table-json.ts'
import { type ActionInForce, snapshotKeysMax } from './queries.ts'

/** A table as it stood at a version. What stands in the log stands here token for token. */
export function snapshotText(
  tableId: string,
  commit: StoredCommit,
  inForce: readonly ActionInForce[],
): string {
  const { version, inCommitTimestamp } = commit
  const bodies = Map.groupBy(inForce, (action) => action.kind)
  const list = (kind: ActionInForce['kind']) =>
    (bodies.get(kind) ?? []).map(({ action }) => actionBody(action))
  const [txns, allDomains] = [list('txn'), list('domainMetadata')]
  const domains = allDomains
    .slice(0, snapshotKeysMax)
    .filter((json) => JSON.parse(json).removed !== true)
  const isCut = txns.length > snapshotKeysMax || allDomains.length > snapshotKeysMax
  return objectText({
    ...memberTexts({ tableId, version, inCommitTimestamp }),
    protocol: list('protocol')[0],
    metadata: list('metaData')[0],
    appTransactions: `[${txns.slice(0, snapshotKeysMax).join(',')}]`,
    domainMetadata: `[${domains.join(',')}]`,
    isCut: isCut ? 'true' : undefined,
    statistics: statisticsText(commit),
  })
}

/** How far an application has come, its txn token for token as in the log, and the version that brought it. */
export function appTransactionText({
  action,
  version,
}: {
  action: string
  version: number
}): string {
  const members = Object.fromEntries(memberSources(actionBody(action)))
  return objectText({ ...members, committedIn: String(version) })
}
