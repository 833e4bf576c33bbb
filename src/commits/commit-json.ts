import { actionBody } from '../delta/json.ts'
import { memberTexts, objectText } from '../http/json-text.ts'
import type { StoredCommit } from './history.ts'
import type { CommitRow } from './rows.ts'
import type { Commit } from './unit.ts'

/** The answer to the writer of a commit. */
export function receiptText({ row, status, readVersion, rebasedOver }: Commit): string {
  const { tableId, version, inCommitTimestamp } = row
  return objectText({
    ...memberTexts({ tableId, version, inCommitTimestamp, status, readVersion, rebasedOver }),
    ...countMembers(row),
  })
}

/** A commit in the history of its table; its commitInfo, if it has one, token for token as in the log. */
export function summaryText(commit: StoredCommit): string {
  const { commitInfo } = commit
  const info = commitInfo === null ? undefined : actionBody(commitInfo)
  return objectText({ ...commitMembers(commit), commitInfo: info })
}

/** What is told of a commit wherever it is told of. */
export function commitMembers(commit: StoredCommit): Record<string, string | undefined> {
  const { version, inCommitTimestamp, committedAt, operation } = commit
  const transactionId = commit.transactionId ?? undefined
  return {
    ...memberTexts({ version, inCommitTimestamp, committedAt, operation, transactionId }),
    ...countMembers(commit),
  }
}

function countMembers(commit: Omit<CommitRow, 'tableId'>): Record<string, string | undefined> {
  const { numAddedFiles, numRemovedFiles, numAddedBytes, numRemovedBytes } = commit
  return memberTexts({ numAddedFiles, numRemovedFiles, numAddedBytes, numRemovedBytes })
}
