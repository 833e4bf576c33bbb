import type { Action, Violation } from '../../delta/actions.ts'
import type { TableState } from '../../delta/table-state.ts'
import { validateFiles } from '../../delta/validation.ts'
import { toldInBody } from './rules.ts'

/** An action with its place in the body. */
export interface IndexedAction {
  action: Action
  index: number
}

/** What the files of a commit are judged by. */
export interface FileContext {
  head: Omit<TableState, 'findLiveFile'>
  /** The metadata and protocol that the commit itself brings. */
  changes: readonly Action[]
  findLiveFile: TableState['findLiveFile']
}

/**
 * Judges some of the files of a commit, as if they were all. What two files of one path break together is found
 * when both are among them.
 */
export function judgeFiles(files: readonly IndexedAction[], context: FileContext): Violation[] {
  const { head, changes, findLiveFile } = context
  const actions = [...changes, ...files.map(({ action }) => action)]
  const placeOf = (at: number) => files[at - changes.length]?.index
  return validateFiles(actions, { ...head, findLiveFile }).flatMap((violation) => {
    // The changes themselves are judged with the other actions of the commit.
    return placeOf(violation.index) === undefined ? [] : toldInBody(violation, placeOf)
  })
}
