/** Whether a commit is legal: the rules of the Delta protocol for what may stand in one version. */
import type { Action, Violation } from './actions.ts'
import { type Commit, surveyCommit } from './rules/commit.ts'
import { checkDomain } from './rules/domains.ts'
import { checkAdd, checkCdc, checkRemove } from './rules/files.ts'
import { checkMetadata } from './rules/metadata.ts'
import { checkCommitInfo, checkOther, checkProtocol, checkTxn } from './rules/other-actions.ts'
import { checkWholeCommit, unwritableFiles } from './rules/whole-commit.ts'
import type { TableState } from './table-state.ts'
import type { Report } from './violations.ts'

const shownPathMax = 2000

function pathOf(action: Action): { path?: string } {
  if (action.kind !== 'add' && action.kind !== 'remove' && action.kind !== 'cdc') return {}
  const { path } = action.body
  return { path: path.length > shownPathMax ? `${path.slice(0, shownPathMax)}…` : path }
}

interface Judgement {
  commit: Commit
  report: Report
}

function checkAction(action: Action, index: number, { commit, report }: Judgement): void {
  switch (action.kind) {
    case 'add':
      checkAdd({ action, index }, commit, report)
      break
    case 'remove':
      checkRemove({ action, index }, commit, report)
      break
    case 'cdc':
      checkCdc({ action, index }, commit, report)
      break
    case 'metaData':
      checkMetadata(action, commit, report)
      break
    case 'protocol':
      checkProtocol(action, commit, report)
      break
    case 'txn':
      checkTxn(action, report)
      break
    case 'domainMetadata':
      checkDomain(action, commit, report)
      break
    case 'commitInfo':
      checkCommitInfo(action, report)
      break
    default:
      checkOther(action, report)
  }
}

function checkActions(actions: readonly Action[], commit: Commit): Violation[] {
  const violations: Violation[] = []
  for (const [index, action] of actions.entries()) {
    const report: Report = (code, message) => {
      violations.push({ code, index, ...pathOf(action), message })
    }
    checkAction(action, index, { commit, report })
  }
  return violations
}

/**
 * Everything in which a commit breaks the protocol on a table in `state`, in the order of its actions; empty
 * when it is legal. Without a state the commit is to be version 0. Actions must have their shapes; that their
 * JSON nests no deeper than a hundred levels is judged only where longs must be read from it.
 *
 * Conflicts with other commits and what the service itself puts in (commitInfo with its in-commit timestamp)
 * are judged elsewhere.
 */
export function validateCommit(
  actions: readonly Action[],
  state: TableState | undefined,
): Violation[] {
  const commit = surveyCommit(actions, state)
  return inOrder(checkActions(actions, commit), checkWholeCommit(actions, commit))
}

/**
 * As `validateCommit`, where the actions are some of the files of a commit, and what changes the table. Whether files
 * share row ids is left out, for it can be told only of all files together.
 */
export function validateFiles(actions: readonly Action[], state: TableState): Violation[] {
  const commit = surveyCommit(actions, state)
  return inOrder(checkActions(actions, commit), unwritableFiles(commit))
}

function inOrder(ofOne: Violation[], ofAll: readonly Violation[]): Violation[] {
  for (const violation of ofAll) ofOne.push(violation)
  return ofOne.sort((a, b) => a.index - b.index)
}
