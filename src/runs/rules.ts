import type { Ledger } from '../commits/ledger.ts'
import type { Part, Unit, Verdict } from '../commits/unit.ts'
import type { Long } from '../delta/actions.ts'
import { Problem } from '../problems.ts'
import { isTableId } from '../tables/rules.ts'

/** What a run can be in. Once it is finished it stays so. */
export const runStatuses = ['running', 'succeeded', 'failed'] as const
export type RunStatus = (typeof runStatuses)[number]
export type FinalStatus = Exclude<RunStatus, 'running'>

/** What can become of an attempt. */
export const attemptOutcomes = ['committed', 'duplicate', 'refused'] as const
export type AttemptOutcome = (typeof attemptOutcomes)[number]

/** What became of a table's share in a commit that carries the number of an application, which may be a run. */
export interface Attempt {
  runId: string
  /** The number itself: the version of the app transaction. */
  commitSequence: Long
  tableId: string | null
  /** As the writer has named the table, where none is known by that. */
  tableName: string | null
  /** The transaction over several tables, if it can be looked up. */
  transactionId: string | null
  outcome: AttemptOutcome
  /** Of the table. */
  version: number | null
  problemCode: string | null
  detail: string | null
}

/** Characters that are kept of why an attempt was refused. */
const detailMax = 2000

/** The attempts that lie in a unit that was judged: one for each table to which it proposes something with an app transaction. */
export function attemptsOf(
  unit: Unit,
  verdict: Verdict,
  ledger: Pick<Ledger, 'tables'>,
): Attempt[] {
  const written = unit.parts.filter(({ onlyReads }) => !onlyReads)
  return written.flatMap((part, at) => {
    const { appTransaction } = part.proposal
    if (appTransaction === undefined) return []
    const { appId: runId, version: commitSequence } = appTransaction
    return { runId, commitSequence, ...tableOf(part, ledger), ...fateOf(unit, verdict, at) }
  })
}

function tableOf({ table }: Part, { tables }: Pick<Ledger, 'tables'>) {
  const tableId = tables.get(table)?.head.id ?? (isTableId(table) ? table : null)
  return { tableId, tableName: tableId === null ? table : null }
}

/** What became of the part at a place among those that propose something. */
function fateOf({ transaction }: Unit, verdict: Verdict, at: number) {
  if (verdict.kind === 'refused') {
    const { code, message } = verdict.problem
    // Of one that was one request nothing is kept.
    const transactionId = transaction?.begun === undefined ? null : transaction.id
    const detail = message.slice(0, detailMax).replaceAll('\0', '\ufffd').toWellFormed()
    const outcome = 'refused' as const
    return { outcome, transactionId, version: null, problemCode: code, detail }
  }
  const commit = verdict.commits[at]
  if (commit === undefined) throw new Error('a part was committed without a commit')
  const outcome: AttemptOutcome = commit.status === 'duplicate' ? 'duplicate' : 'committed'
  const transactionId = transaction?.id ?? null
  return { outcome, transactionId, version: commit.row.version, problemCode: null, detail: null }
}

/** What of a run is told in refusals. */
interface FinishedRun {
  runId: string
  status: RunStatus
  finishedAt: string | null
}

/** The refusal of what only a run that is not finished can be asked for. */
export function runFinished({ runId, status, finishedAt }: FinishedRun): Problem {
  return new Problem(
    'run-finished',
    `The run "${runId}" has ${status === 'failed' ? 'failed' : 'succeeded'} at ${finishedAt}, and a finished run stays as it is. Begin another.`,
    { facts: { runId, runStatus: status, finishedAt } },
  )
}

/** The refusal for a run that is not there. */
export function runNotFound(runId: string): Problem {
  return new Problem('run-not-found', `There is no run "${runId}".`)
}
