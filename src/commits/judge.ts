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
import { Problem } from '../problems.ts'
import { appendCommit } from './append.ts'
import {
  type BatchState,
  changedHeads,
  type Ledger,
  openLedger,
  type TableLedger,
} from './ledger.ts'
import type { Writes } from './rows.ts'
import { sumViolations } from './rules.ts'
import type { Part, Proposal, Unit, Verdict } from './unit.ts'

/** What is known of the idempotency keys of a batch. */
export interface KeyState {
  /** Answers given earlier. */
  kept: ReadonlyMap<string, KeptAnswer>
  /** Keys that another transaction holds. */
  busy: ReadonlySet<string>
}

/**
 * Judges units in arrival order, each on the tables as the ones before it left them, and answers an outcome
 * for each and all the rows to write. A refused unit leaves no trace and fails no other. Pure.
 */
export function judgeBatch(
  units: readonly Unit[],
  state: BatchState,
  keys: KeyState,
): { outcomes: (Outcome | Problem)[]; writes: Writes } {
  const ledger = openLedger(state)
  const given = new Map<string, KeptAnswer>()
  const outcomes = units.map((unit): Outcome | Problem => {
    const request = unit.idempotent
    if (request === undefined)
      return { answer: unit.answer(judgeUnit(unit, ledger)), replayed: false }
    if (keys.busy.has(request.key)) return inProgress(request)
    const kept = keys.kept.get(request.key) ?? given.get(request.key)
    if (kept !== undefined) return replayed(request, kept)
    const answer = unit.answer(judgeUnit(unit, ledger))
    if (isFinal(answer)) given.set(request.key, { ...request, ...answer })
    return { answer, replayed: false }
  })
  const writes = { ...ledger.writes, heads: changedHeads(ledger), answers: [...given.values()] }
  return { outcomes, writes }
}

function replayed(request: IdempotentRequest, kept: KeptAnswer): Outcome | Problem {
  const answer: Answer | Problem = replay(request, kept)
  return answer instanceof Problem ? answer : { answer, replayed: true }
}

/** All parts are judged before any is entered, so that a unit takes effect whole or not at all. */
function judgeUnit(unit: Unit, ledger: Ledger): Verdict {
  const accepted: { table: TableLedger; proposal: Proposal }[] = []
  for (const part of unit.parts) {
    const table = ledger.tables.get(part.table)
    const problem = table === undefined ? unknownTable(part.table) : judgePart(part, table)
    if (problem !== undefined) return { kind: 'refused', problem }
    if (table !== undefined) accepted.push({ table, proposal: part.proposal })
  }
  // One timestamp for all tables of a unit, above that of each.
  const inCommitTimestamp = accepted.reduce(
    (time, { table }) => Math.max(time, table.head.inCommitTimestamp + 1),
    ledger.now,
  )
  const commits = accepted.map(({ table, proposal }) =>
    appendCommit(ledger.writes, table, { proposal, inCommitTimestamp }),
  )
  return { kind: 'committed', commits }
}

/** Why the part may not become the next version of its table, or undefined when it may. */
function judgePart({ proposal }: Part, table: TableLedger): Problem | undefined {
  const { head } = table
  if (head.droppedAt !== null) {
    return new Problem(
      'table-dropped',
      `The table ${head.name} was dropped at ${head.droppedAt}. Bring it back before committing to it.`,
      { facts: { tableId: head.id, droppedAt: head.droppedAt } },
    )
  }
  return judgeVersion(proposal, table) ?? judgeActions(proposal, table)
}

function judgeVersion({ expectedVersion }: Proposal, table: TableLedger): Problem | undefined {
  const { head } = table
  const actual = head.version + 1
  if (expectedVersion === undefined || expectedVersion === actual) return undefined
  const winner = table.commits.get(expectedVersion)
  const reason =
    winner === undefined
      ? `the table is only at version ${head.version}`
      : `version ${winner.version} was taken by another commit (${winner.operation})`
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

function judgeActions(proposal: Proposal, { head, files }: TableLedger): Problem | undefined {
  const illegal = validateCommit(proposal.actions, {
    version: head.version,
    protocol: head.protocol,
    metadata: head.metadata,
    numFiles: head.numFiles,
    findLiveFile: (path) => files.get(path)?.file,
  })
  const violations = illegal.length > 0 ? illegal : sumViolations(proposal, head)
  const first = violations[0]
  if (first === undefined) return undefined
  const more = violations.length > 1 ? ` And ${violations.length - 1} more.` : ''
  return new Problem('invalid-actions', `actions[${first.index}]: ${first.message}.${more}`, {
    facts: { tableId: head.id, violations },
  })
}

function unknownTable(table: string): Problem {
  return new Problem('table-not-found', `There is no table "${table}".`)
}
