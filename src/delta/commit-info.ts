/** What a writer says of its commit: members of commitInfo by name, each as its own JSON text. */
export type CommitInfoMembers = ReadonlyMap<string, string>

/** The members that the service itself decides; a writer's own are replaced. */
export interface OwnedCommitInfo {
  /** Epoch milliseconds, above that of the version before. */
  inCommitTimestamp: number
  operation: string
  isBlindAppend: boolean
  /** The transaction over several tables that the commit is part of: `txnId` in the log. */
  transactionId: string | undefined
}

/**
 * The first line of a log file. With in-commit timestamps on, commitInfo must come first and carry one
 * (PROTOCOL.md, "Writer Requirements for In-Commit Timestamps"). What the writer gave keeps its tokens.
 */
export function commitInfoLine(members: CommitInfoMembers, owned: OwnedCommitInfo): string {
  const own = new Map([
    ['inCommitTimestamp', String(owned.inCommitTimestamp)],
    ['timestamp', String(owned.inCommitTimestamp)],
    ['operation', JSON.stringify(owned.operation)],
    ['isBlindAppend', String(owned.isBlindAppend)],
  ])
  if (owned.transactionId !== undefined) own.set('txnId', JSON.stringify(owned.transactionId))
  const given = [...members].filter(([name]) => !own.has(name))
  const text = [...own, ...given].map(([name, json]) => `${JSON.stringify(name)}:${json}`)
  return `{"commitInfo":{${text.join(',')}}}`
}

/** How this service names itself where a writer names no engine. */
export const engineInfo = 'Deltaworks'
