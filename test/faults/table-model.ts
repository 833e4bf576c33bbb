import {
  emptyTable,
  type FileStep,
  type ModelCandidate,
  type ModelTable,
  type ModelWinner,
  play,
  type Steps,
} from '../delta/cases/conflicts/model.ts'
import type { TableEnd } from './check-history.ts'
import {
  pathsOf,
  type RecordedCommit,
  type RecordedRun,
  type SentAction,
  type SentProposal,
} from './recorded-run.ts'

/** A table as it came to be: every version with the proposal that made it, for the slow model. */
export interface TableModel {
  id: string
  /** The lines of each version. */
  lines: readonly string[]
  actions: readonly (readonly SentAction[])[]
  /** What each version was proposed as; version 0 was not. */
  origins: readonly (RecordedCommit | undefined)[]
  /** The table at each version. */
  states: readonly ModelTable[]
  /** What made each version but the first: that of version 1 is in place 0. */
  winners: readonly ModelWinner[]
}

/** Plays a table forward from its commits and what its clients say that they had read. */
export function modelTable(run: RecordedRun, end: TableEnd): TableModel {
  const lines = end.commits.map((commit) => commit.lines)
  const actions = lines.map((text) =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line): SentAction => JSON.parse(line)),
  )
  const byPath = new Map(
    run.commits
      .filter(({ table }) => table === end.id)
      .flatMap((commit) =>
        pathsOf('add', commit.proposal.actions).map((path) => [path, commit] as const),
      ),
  )
  const origins = actions.map((own) => byPath.get(pathsOf('add', own)[0] ?? ''))
  const winners = actions.slice(1).map((own, index): ModelWinner => {
    const proposal = origins[index + 1]?.proposal
    return { ...stepsOf(own), hasRead: proposal !== undefined && hasReadFiles(proposal) }
  })
  const states = [emptyTable(0, [])]
  for (const winner of winners) states.push(play(states.at(-1) as ModelTable, winner))
  return { id: end.id, lines, actions, origins, states, winners }
}

/** The proposal as the model judges it. */
export function candidateOf(proposal: SentProposal): ModelCandidate {
  const { reads = {}, actions, isolationLevel = 'WriteSerializable' } = proposal
  const rearranges = actions.every(({ add, remove }) => (add ?? remove)?.dataChange === false)
  return {
    ...stepsOf(actions),
    level: rearranges ? 'SnapshotIsolation' : isolationLevel,
    wholeTable: reads.wholeTable ?? false,
    parts: (reads.predicates ?? []).map(({ children }) => children[1]?.value ?? ''),
    filesRead: reads.files ?? [],
    appIdsRead: reads.appIds ?? [],
    domainsRead: reads.domains ?? [],
  }
}

function stepsOf(actions: readonly SentAction[]): Steps {
  const files = actions.flatMap(({ add, remove }): [string, FileStep][] => {
    if (add !== undefined) return [[add.path, 'add']]
    return remove === undefined ? [] : [[remove.path, 'remove']]
  })
  return {
    files: Object.fromEntries(files),
    appIds: actions.flatMap(({ txn }) => txn?.appId ?? []),
    domains: actions.flatMap(({ domainMetadata }) => domainMetadata?.domain ?? []),
    metadata: actions.some(({ metaData }) => metaData !== undefined) ? 'renamed' : undefined,
    protocol: undefined,
  }
}

/** Who expects a version has seen the whole table. */
function hasReadFiles({ expectedVersion, reads = {} }: SentProposal): boolean {
  const { wholeTable = false, predicates = [], files = [] } = reads
  return expectedVersion !== undefined || wholeTable || predicates.length + files.length > 0
}
