import { judge } from '../delta/cases/conflicts/model.ts'
import { checkHistory, type TableEnd, type Wish } from './check-history.ts'
import { checkReads } from './check-reads.ts'
import { begunAt, checkWindow, type RealTime, realTimeOf } from './real-time.ts'
import {
  type Attempt,
  pathsOf,
  type RecordedCommit,
  type RecordedRun,
  type SentProposal,
} from './recorded-run.ts'
import { candidateOf, modelTable, type TableModel } from './table-model.ts'

/** Refusals that are no verdict: a client may try again. */
export const passing = ['database-unavailable', 'idempotency-in-progress', 'overloaded']

/**
 * Holds a recorded run against what is there in the end, and answers every breach of the promises: those of
 * `checkHistory`; each table linearizable, for writers and readers; every 201 and every 409 what the slow model of
 * the rules says, on a head that the table can have had between the request and its answer. Pure.
 */
export function checkRun(run: RecordedRun, ends: readonly TableEnd[]): string[] {
  return [
    ...checkHistory(run.commits.map(toWish), ends),
    ...ends.flatMap((end) => {
      const own = {
        commits: run.commits.filter(({ table }) => table === end.id),
        reads: run.reads.filter(({ table }) => table === end.id),
      }
      const table = modelTable(own, end)
      const time = realTimeOf(own, table)
      return [
        ...checkOrder(table, time),
        ...checkRebases(table),
        ...own.commits.flatMap((commit) => checkVerdicts(commit, table, time)),
        ...checkReads(own.reads, table, time),
      ].map((fault) => `table ${end.id}: ${fault}`)
    }),
  ]
}

function toWish({ table, key, proposal, attempts }: RecordedCommit): Wish {
  const { expectedVersion, idempotency, actions } = proposal
  const settled = attempts.filter(isVerdict)
  return {
    table,
    ...(key !== undefined && { key }),
    ...(expectedVersion !== undefined && { expectedVersion }),
    adds: pathsOf('add', actions),
    removes: pathsOf('remove', actions),
    answers: settled.map(({ status = 0, body = '' }) =>
      // A duplicate is told as one, beside that the same.
      idempotency !== undefined && status <= 201
        ? { status: 201, body: JSON.stringify({ version: JSON.parse(body).version }) }
        : { status, body },
    ),
    open: attempts.length - settled.length,
  }
}

function isVerdict({ status, body }: Attempt): boolean {
  if (status === undefined || body === undefined) return false
  return status <= 201 || (status === 409 && !passing.includes(JSON.parse(body).code))
}

const nameOf = ({ proposal }: RecordedCommit) => pathsOf('add', proposal.actions)[0]

/** What was known before a commit was asked for comes before it. */
function checkOrder({ origins }: TableModel, { knownAt }: RealTime): string[] {
  return origins.flatMap((commit, version) => {
    const known = commit === undefined ? -1 : knownAt(begunAt(commit))
    return known < version ? [] : `version ${version} was asked for when ${known} was known`
  })
}

/** No commit follows a winner that it is in conflict with, whatever its writer was told. */
function checkRebases(table: TableModel): string[] {
  return table.origins.flatMap((commit, version) => {
    if (commit === undefined) return []
    const conflict = conflictAt(commit.proposal, table, version - 1)
    return conflict === undefined
      ? []
      : `version ${version} should have been refused: ${conflict.code} with ${conflict.version}`
  })
}

/** What the rules say to a proposal when that version is the newest. */
function conflictAt({ readVersion, ...proposal }: SentProposal, table: TableModel, head: number) {
  const read = readVersion === undefined ? undefined : table.states[readVersion]
  if (readVersion === undefined || read === undefined) return undefined
  return judge(candidateOf(proposal), read, table.winners.slice(readVersion, head))
}

function checkVerdicts(commit: RecordedCommit, table: TableModel, time: RealTime): string[] {
  return commit.attempts.flatMap((attempt) => {
    const { status, body = '', end } = attempt
    if (status === undefined) return []
    const answer = JSON.parse(body)
    const faults =
      status <= 201 ? checkReceipt(commit, answer) : checkRefusal(commit, answer, table)
    const head = answer.currentVersion ?? answer.version
    if (isVerdict(attempt)) faults.push(...checkWindow(head, { begin: begunAt(commit), end }, time))
    return faults.map((fault) => `${nameOf(commit)} ${fault}`)
  })
}

interface Receipt {
  version: number
  status: string
  readVersion?: number
  rebasedOver: number[]
  numAddedFiles: number
  numRemovedFiles: number
}

function checkReceipt({ proposal }: RecordedCommit, receipt: Receipt): string[] {
  const { readVersion, actions } = proposal
  const { version, rebasedOver, status } = receipt
  const faults: string[] = []
  const over = Array.from(
    { length: version - 1 - (readVersion ?? version - 1) },
    (_, index) => (readVersion ?? 0) + 1 + index,
  )
  if (status !== 'duplicate') {
    if (receipt.readVersion !== readVersion) faults.push(`read ${readVersion}, and was told other`)
    if (rebasedOver.join() !== over.join()) {
      faults.push(`was rebased over ${over}, and was told ${rebasedOver}`)
    }
  }
  const counts = [pathsOf('add', actions).length, pathsOf('remove', actions).length]
  const told = [receipt.numAddedFiles, receipt.numRemovedFiles]
  if (told.join() !== counts.join()) faults.push(`has files ${counts}, and was told ${told}`)
  return faults
}

interface Refusal {
  code: string
  currentVersion: number
  expected: number
  actual: number
  winner?: { version: number; operation: string }
}

function checkRefusal({ proposal }: RecordedCommit, refusal: Refusal, table: TableModel): string[] {
  const { code, currentVersion: head, winner } = refusal
  if (passing.includes(code)) return []
  if (code === 'version-conflict') return checkVersionConflict(proposal, refusal)
  const conflict = conflictAt(proposal, table, head)
  const told = `was refused with ${code} by ${winner?.version} at ${head}`
  if (conflict?.code !== code || conflict.version !== winner?.version) {
    const right = conflict === undefined ? 'nothing' : `${conflict.code} by ${conflict.version}`
    return [`${told}; the rules say ${right}`]
  }
  const operation = table.actions[conflict.version]?.[0]?.['commitInfo']?.operation
  return winner.operation === operation ? [] : [`${told}, which was no ${winner.operation}`]
}

function checkVersionConflict({ expectedVersion }: SentProposal, refusal: Refusal): string[] {
  const { expected, actual, currentVersion, winner } = refusal
  const isTold = expected === expectedVersion && actual === currentVersion + 1
  const isTaken = expected <= currentVersion
  const isRight =
    isTold && expected !== actual && winner?.version === (isTaken ? expected : undefined)
  return isRight
    ? []
    : [`expected ${expectedVersion} and was told of ${expected}, ${actual} at ${currentVersion}`]
}
