import { toCandidate } from '../delta/conflicts/candidate.ts'
import { effectiveLevel, requestedLevel } from '../delta/conflicts/isolation.ts'
import { findConflict } from '../delta/conflicts.ts'
import { validateCommit } from '../delta/validation.ts'
import {
  type Answer,
  type IdempotentRequest,
  inProgress,
  isFinal,
  type KeptAnswer,
  type Outcome,
  replay,
} from '../idempotency/rules.ts'
import { judgeFences } from '../locks/fences.ts'
import { Problem } from '../problems.ts'
import { attemptsOf } from '../runs/rules.ts'
import { enterState, type JudgedProposal, judgeState, stateWrites } from '../state/judge.ts'
import type { StateProposal } from '../state/operations.ts'
import { lostNamespace, refusedProposal } from '../state/rules.ts'
import {
  type EnteringUnit,
  enterChange,
  inPlaces,
  judgeChanges,
  judgeReservation,
  repeatedTable,
  unknownTable,
} from '../transactions/judge.ts'
import { inTable } from '../transactions/rules.ts'
import { judgeClaim } from '../transactions/staged/rules.ts'
import { appendCommit } from './append.ts'
import { findDuplicate, isDuplicate, withAppTransaction } from './duplicates.ts'
import {
  type BatchState,
  changedHeads,
  type Ledger,
  openLedger,
  type TableLedger,
} from './ledger.ts'
import { resolveReads } from './reads.ts'
import type { CommitRow, Writes } from './rows.ts'
import { invalidReads, readTooOld, sumViolations, unknownVersion } from './rules.ts'
import { toldInBody, violationsMax } from './staged/rules.ts'
import { fencesOf } from './touched.ts'
import type { Commit, Part, Proposal, Unit, Verdict } from './unit.ts'

/** What is known of the idempotency keys of a batch. */
export interface KeyState {
  /** Answers given earlier. */
  kept: ReadonlyMap<string, KeptAnswer>
  /** Keys that another transaction holds. */
  busy: ReadonlySet<string>
}

/** An outcome, and the verdict that it came of; the replay of an earlier one has none. */
export interface JudgedOutcome extends Outcome {
  verdict?: Verdict
}

/**
 * Judges units in arrival order, each on the tables as the ones before it left them, and answers an outcome
 * for each and all the rows to write. A refused unit leaves no trace but its attempts, and fails no other. Pure.
 */
export function judgeBatch(
  units: readonly Unit[],
  state: BatchState,
  keys: KeyState,
): { outcomes: (JudgedOutcome | Problem)[]; writes: Writes } {
  const ledger = openLedger(state)
  const given = new Map<string, KeptAnswer>()
  const judge = (unit: Unit): JudgedOutcome => {
    const verdict = judgeUnit(unit, ledger)
    ledger.writes.attempts.push(...attemptsOf(unit, verdict, ledger))
    return { answer: unit.answer(verdict), replayed: false, verdict }
  }
  const outcomes = units.map((unit): JudgedOutcome | Problem => {
    const request = unit.idempotent
    if (request === undefined) return judge(unit)
    if (keys.busy.has(request.key)) return inProgress(request)
    const kept = keys.kept.get(request.key) ?? given.get(request.key)
    if (kept !== undefined) return replayed(request, kept)
    const outcome = judge(unit)
    if (isFinal(outcome.answer)) given.set(request.key, { ...request, ...outcome.answer })
    return outcome
  })
  const writes = {
    ...ledger.writes,
    heads: changedHeads(ledger),
    answers: [...given.values()],
    state: stateWrites(ledger.state),
  }
  return { outcomes, writes }
}

function replayed(request: IdempotentRequest, kept: KeptAnswer): Outcome | Problem {
  const answer: Answer | Problem = replay(request, kept)
  return answer instanceof Problem ? answer : { answer, replayed: true }
}

/** What is to become of a part: a new commit, or that of an earlier proposal that was the same. */
type PartVerdict = {
  table: TableLedger
  proposal: Proposal
  onlyReads?: boolean | undefined
  duplicateOf?: CommitRow
}

/** All parts and changes are judged before any is entered, so that a unit takes effect whole or not at all. */
function judgeUnit(unit: Unit, ledger: Ledger): Verdict {
  const { parts, changes = [], transaction } = unit
  const lost = transaction && judgeClaim(transaction, ledger)
  if (lost !== undefined) return { kind: 'refused', problem: lost }
  const stale = judgeFences(fencesOf(unit), ledger.fencedLocks)
  if (stale !== undefined && !isDuplicate(unit, ledger)) return { kind: 'refused', problem: stale }
  const accepted: PartVerdict[] = []
  for (const [index, part] of parts.entries()) {
    const table = ledger.tables.get(part.table)
    const isRepeated = accepted.some((other) => other.table === table)
    const verdict = isRepeated ? repeatedTable() : judgePart(part, table, transaction?.id)
    if (verdict instanceof Problem) return refuse(unit, verdict, { index, ...part })
    accepted.push(verdict)
  }
  const written = accepted.filter(({ onlyReads }) => !onlyReads)
  const committed = written.map(({ table }) => table)
  const judged = judgeChanges(changes, { ledger, committed, transactionId: transaction?.id })
  if (judged.refused !== undefined) return refuse(unit, judged.problem, judged.refused)
  const state = judgeProposals(unit.state ?? [], ledger)
  if (state instanceof Problem) return { kind: 'refused', problem: state }
  // One timestamp for all tables of a unit, above that of each.
  const inCommitTimestamp = [...accepted, ...judged.accepted].reduce(
    (time, { table }) => Math.max(time, table.head.inCommitTimestamp + 1),
    ledger.now,
  )
  const entering = { ledger, inCommitTimestamp, transactionId: transaction?.id }
  const commits = written.map((verdict) => enterPart(verdict, entering))
  const changed = judged.accepted.map((change) => enterChange(change, entering))
  const tables = inPlaces(unit, commits, changed)
  const committedAt = ledger.now
  const stateResults = state.map(enterState)
  if (transaction !== undefined) {
    const done = { committedAt, tables, state: stateResults }
    ledger.writes.transactions.push({ ...transaction, ...done })
  }
  return { kind: 'committed', commits, tables, state: stateResults, committedAt }
}

/** What is to become of the state, or why one of the proposals is refused. */
function judgeProposals(
  proposals: readonly StateProposal[],
  { state, now }: Ledger,
): JudgedProposal[] | Problem {
  const accepted: JudgedProposal[] = []
  for (const proposal of proposals) {
    const ledger = state.get(proposal.namespaceId)
    if (ledger === undefined) return lostNamespace(proposal.namespace)
    const judged = judgeState(proposal, ledger, now)
    if ('refusal' in judged) return refusedProposal(judged)
    accepted.push(judged)
  }
  return accepted
}

function refuse(
  { transaction }: Unit,
  problem: Problem,
  {
    table,
    index = 0,
    place = index,
  }: { table: string; index?: number; place?: number | undefined },
): Verdict {
  const told = transaction === undefined ? problem : inTable(problem, { table, index: place })
  return { kind: 'refused', problem: told }
}

function enterPart(
  { table, proposal, duplicateOf }: PartVerdict,
  { ledger, inCommitTimestamp, transactionId }: EnteringUnit,
): Commit {
  if (duplicateOf !== undefined) return { status: 'duplicate', row: duplicateOf, rebasedOver: [] }
  const { readVersion = table.head.version } = proposal
  const rebasedOver = Array.from(
    { length: table.head.version - readVersion },
    (_, index) => readVersion + 1 + index,
  )
  const row = appendCommit(ledger.writes, table, {
    proposal: withAppTransaction(proposal, inCommitTimestamp),
    inCommitTimestamp,
    transactionId,
  })
  return { status: 'committed', row, readVersion: proposal.readVersion, rebasedOver }
}

/** The refusal of a part, or what is to become of it. */
function judgePart(
  { table: name, proposal, onlyReads }: Part,
  table: TableLedger | undefined,
  transactionId: string | undefined,
): PartVerdict | Problem {
  if (table === undefined) return unknownTable(name)
  const { head } = table
  if (head.droppedAt !== null) {
    return new Problem(
      'table-dropped',
      `The table ${head.name} was dropped at ${head.droppedAt}. Bring it back before committing to it.`,
      { facts: { tableId: head.id, droppedAt: head.droppedAt } },
    )
  }
  if (onlyReads) return judgeReads(proposal, table) ?? { table, proposal, onlyReads }
  const duplicateOf = findDuplicate(proposal, table)
  if (duplicateOf !== undefined) return { table, proposal, duplicateOf }
  return (
    judgeReservation(table, transactionId) ??
    judgeVersion(proposal, table) ??
    judgeReads(proposal, table) ??
    judgeActions(proposal, table) ?? { table, proposal }
  )
}

function judgeVersion({ expectedVersion }: Proposal, table: TableLedger): Problem | undefined {
  const { head } = table
  const actual = head.version + 1
  if (expectedVersion === undefined || expectedVersion === actual) return undefined
  const winner = table.commits.get(expectedVersion)
  const reason =
    winner !== undefined
      ? `version ${winner.version} was taken by another commit (${winner.operation})`
      : expectedVersion > head.version
        ? `the table is only at version ${head.version}`
        : `version ${expectedVersion} was taken by another commit`
  return new Problem(
    'version-conflict',
    `The commit expected to become version ${expectedVersion}, but ${reason}. The next version is ${actual}.`,
    {
      facts: {
        tableId: head.id,
        expected: expectedVersion,
        actual,
        currentVersion: head.version,
        ...(winner && {
          winner: {
            version: winner.version,
            operation: winner.operation,
            inCommitTimestamp: winner.inCommitTimestamp,
          },
        }),
      },
    },
  )
}

/** Holds the commits that came since the version read against what was read. */
function judgeReads(proposal: Proposal, table: TableLedger): Problem | undefined {
  const { readVersion, reads: declared, actions, operation, staged, hasFixedPlace } = proposal
  const { head, opening } = table
  const now = resolveReads(declared, head)
  const invalid = now.faults && invalidReads(now.faults)
  if (readVersion === undefined || readVersion === head.version) return invalid
  if (readVersion > head.version) return invalid ?? unknownVersion(readVersion, head)
  const knowsWinners = table.knowsWinners || readVersion >= opening.version
  if (!knowsWinners || readVersion < head.historyFrom) return readTooOld(readVersion, head)
  const before = table.readStates.get(readVersion) ?? opening
  // What could be read then is not wrong now but out of date, as when its column was dropped since.
  const { reads } = invalid === undefined ? now : resolveReads(declared, before)
  if (reads === undefined) return invalid
  const requested = requestedLevel(proposal.isolationLevel, head.metadata.configuration)
  const isolationLevel =
    hasFixedPlace || staged?.changesData
      ? requested
      : effectiveLevel(requested, { actions, operation })
  const conflict = findConflict(
    toCandidate({ actions, reads, isolationLevel, files: table.survey?.contested }),
    table.winners.flatMap(({ version, winner }) => (version > readVersion ? winner() : [])),
    before,
  )
  if (conflict === undefined) return invalid
  const { code, message, winner, facts } = conflict
  return new Problem(code, message, {
    facts: { tableId: head.id, currentVersion: head.version, winner, ...facts },
  })
}

function judgeActions(proposal: Proposal, table: TableLedger): Problem | undefined {
  const { head, files, filesWithoutRowIds, survey } = table
  const { staged, actions } = proposal
  const found = validateCommit(actions, {
    version: head.version,
    protocol: head.protocol,
    metadata: head.metadata,
    // Staged removes are gone before the rules for the others ask what is left.
    numFiles: head.numFiles - (survey?.removed.numFiles ?? 0),
    rowIdHighWaterMark: head.rowIdHighWaterMark,
    filesWithoutRowIds:
      filesWithoutRowIds && filesWithoutRowIds - (survey?.rowIds.numFilesWithout ?? 0),
    findLiveFile: (path) => files.get(path)?.file,
  })
  const illegal =
    staged === undefined
      ? found
      : found.map((one) => toldInBody(one, (at) => staged.places[at]?.index))
  const ofFiles = survey?.violations ?? { list: [], count: 0 }
  const list = [...illegal, ...ofFiles.list].sort((a, b) => a.index - b.index)
  const known = { list, count: illegal.length + ofFiles.count }
  const violations = known.count > 0 ? known.list : sumViolations(proposal, head)
  const first = violations[0]
  if (first === undefined) return undefined
  const numViolations = Math.max(known.count, violations.length)
  const more = numViolations > 1 ? ` And ${numViolations - 1} more.` : ''
  return new Problem('invalid-actions', `actions[${first.index}]: ${first.message}.${more}`, {
    facts: {
      tableId: head.id,
      violations: violations.slice(0, violationsMax),
      numViolations,
    },
  })
}
