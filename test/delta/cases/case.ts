import type { Action } from '../../../src/delta/actions.ts'
import type { TableState } from '../../../src/delta/table-state.ts'
import type { ViolationCode } from '../../../src/delta/violations.ts'
import { table } from '../support.ts'

/** What is expected of one violation; a message is given whole as a string, in part as a pattern. */
export type Expected = readonly [code: ViolationCode, index: number, message?: string | RegExp]

/** A commit, the table that it is to follow (undefined: none), and everything that is wrong with it. */
export interface Case {
  name: string
  actions: readonly Action[]
  state: TableState | undefined
  expected: readonly Expected[]
}

/** A commit on a plain table, unless another is given. */
export function onTable(
  name: string,
  actions: readonly Action[],
  ...rest: readonly (Expected | TableState)[]
): Case {
  const states = rest.filter((item): item is TableState => 'metadata' in item)
  const expected = rest.filter((item): item is Expected => !('metadata' in item))
  return { name, actions, state: states[0] ?? table(), expected }
}

/** A commit that is to be version 0. */
export function onNothing(
  name: string,
  actions: readonly Action[],
  ...expected: readonly Expected[]
): Case {
  return { name, actions, state: undefined, expected }
}
