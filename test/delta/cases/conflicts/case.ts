import type { Action } from '../../../../src/delta/actions.ts'
import type { ConflictCode, ConflictFacts } from '../../../../src/delta/conflicts/conflict.ts'
import type { IsolationLevel } from '../../../../src/delta/conflicts/isolation.ts'
import {
  type FileTest,
  isBlindAppend,
  noReads,
  type Reads,
} from '../../../../src/delta/conflicts/reads.ts'
import { type Winner, winnerOf } from '../../../../src/delta/conflicts/winner.ts'
import type { ReadState } from '../../../../src/delta/conflicts.ts'
import { table } from '../../support.ts'

/** The conflict that is expected: its kind, the place of its winner, and some of its facts. */
export type Expected = readonly [code: ConflictCode, facts?: ConflictFacts, winner?: number]

/** A commit, its winners, and the conflict between them, if any. */
export interface ConflictCase {
  name: string
  read: ReadState
  reads: Reads
  level: IsolationLevel | undefined
  operation: string
  actions: readonly Action[]
  winners: readonly Winner[]
  expected: Expected | undefined
  differs: string | undefined
}

/** The actions of a winner that has read nothing; or its actions and what more there is to say of it. */
export type GivenWinner =
  | readonly Action[]
  | { actions: readonly Action[]; reads?: Partial<Reads>; operation?: string }

export interface GivenCase {
  table?: ReadState
  reads?: Partial<Reads>
  level?: IsolationLevel
  operation?: string
  winners: readonly GivenWinner[]
  actions?: readonly Action[]
  conflict?: Expected
  /** What the source expects, and why it is not what is expected here. */
  differs?: string
}

/** The version that every commit of the cases was decided on. */
export const readVersion = 4

export function toWinner(given: GivenWinner, index: number): Winner {
  const { actions, reads, operation = 'WRITE' } = 'actions' in given ? given : { actions: given }
  const version = readVersion + 1 + index
  const identity = { version, operation, inCommitTimestamp: 1000 + version }
  const blind = isBlindAppend(actions, { ...noReads, ...reads })
  return winnerOf({ ...identity, isBlindAppend: blind }, actions)
}

/** Makes the cases of one suite. What a case does not give is as `common` says. */
export function suite(
  title: string,
  common: Partial<GivenCase> = {},
): (name: string, given: GivenCase) => ConflictCase {
  return (name, given) => {
    const all = { ...common, ...given }
    return {
      name: `${title}: ${name}`,
      read: all.table ?? table(),
      reads: { ...noReads, ...all.reads },
      level: all.level,
      operation: all.operation ?? 'WRITE',
      actions: all.actions ?? [],
      winners: all.winners.map(toWinner),
      expected: all.conflict,
      differs: all.differs,
    }
  }
}

export const everything: FileTest = () => true

/** A predicate on the values of one partition column. */
export function where(name: string, selects: (value: string | null) => boolean): FileTest {
  return ({ partitionValues }) =>
    !Object.hasOwn(partitionValues, name) || selects(partitionValues[name] ?? null)
}

/** A predicate on a column that is in the files only; it excludes by statistics alone. */
export function between(name: string, min: number, max: number): FileTest {
  return ({ stats }) => {
    if (typeof stats !== 'string') return true
    const { minValues, maxValues } = JSON.parse(stats)
    return minValues[name] <= max && maxValues[name] >= min
  }
}
