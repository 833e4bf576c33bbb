import type { Ledger } from '../../commits/ledger.ts'
import type { TransactionTerms } from '../../commits/unit.ts'
import { Problem } from '../../problems.ts'
import type { TableEntry } from '../entries.ts'
import type { TransactionState } from '../states.ts'

/** What is staged for a table by these fields. */
export function stagedKind(fields: string | null): TableEntry['kind'] {
  const members = JSON.parse(fields ?? '{}')
  return changeKinds.find((kind) => Object.hasOwn(members, kind)) ?? 'table'
}

const changeKinds = ['create', 'drop', 'undrop'] as const

/** The refusal of what only an active transaction can be asked for. */
export function notActive({ id, state }: { id: string; state: TransactionState }): Problem {
  const detail =
    state === 'committing'
      ? `A commit of the transaction ${id} is already in progress.`
      : `The transaction ${id} is ${state}; no commit is in progress.`
  return new Problem('transaction-not-active', detail, { facts: { transactionId: id, state } })
}

/**
 * Refuses a transaction whose claim was lost, as when its server did nothing for so long that it was taken for dead.
 * What was done with the transaction since is not known here.
 */
export function judgeClaim(
  { id, begun }: TransactionTerms,
  { claims }: Pick<Ledger, 'claims'>,
): Problem | undefined {
  if (begun === undefined || claims.has(begun.claim)) return undefined
  return new Problem(
    'transaction-not-active',
    `The commit of the transaction ${id} took too long and was given up; nothing was committed. Look the transaction up.`,
    { facts: { transactionId: id } },
  )
}
