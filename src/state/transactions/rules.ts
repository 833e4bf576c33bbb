import { Problem } from '../../problems.ts'
import type { StateTransactionRow } from './queries.ts'

/** The refusal of what only a transaction that is open can be asked for. */
export function isOver({ id, state }: Pick<StateTransactionRow, 'id' | 'state'>): Problem {
  const how = { committed: 'is committed', 'rolled-back': 'is rolled back', expired: 'has expired' }
  const told = state === 'active' ? 'is gone' : how[state]
  return new Problem('transaction-not-active', `The transaction ${id} ${told}.`, {
    facts: { txId: id, state },
  })
}

/** The refusal of a transaction that another server has in its memory. */
export function isElsewhere({ id, server }: StateTransactionRow): Problem {
  return new Problem(
    'transaction-elsewhere',
    `The transaction ${id} was begun at ${server}, and only that server can go on with it.`,
    { facts: { txId: id, server } },
  )
}

/** The refusal of a transaction that cannot read on, for PostgreSQL has ended what it read from. */
export function lostView(id: string, cause: unknown): Problem {
  return new Problem(
    'serialization-failure',
    `What the transaction ${id} reads from was lost with its connection to PostgreSQL. Nothing of the transaction took effect; begin it again.`,
    { facts: { txId: id, retry: true }, cause },
  )
}

/** The refusal of what would change a transaction whose commit may have taken effect. */
export function isInDoubt(id: string): Problem {
  return new Problem(
    'database-unavailable',
    `Whether the commit of the transaction ${id} took effect is not known. Commit it again, and it will be told.`,
    { facts: { txId: id }, headers: { 'retry-after': '1' } },
  )
}

export function savepointNotFound(id: string, name: string): Problem {
  return new Problem(
    'savepoint-not-found',
    `The transaction ${id} has no savepoint "${name}", or has gone back behind it.`,
    { facts: { txId: id, savepoint: name } },
  )
}

/** The refusal of more than a transaction may hold in memory. */
export function tooMuch(what: string, count: number, max: number): Problem {
  return new Problem(
    'too-many-actions',
    `The transaction would have ${count} ${what}; ${max} are allowed. Commit it, or roll it back.`,
    { facts: { maxActions: max } },
  )
}

/** The refusal of writes that are too large together. */
export function tooLarge(bytes: number, maxBytes: number): Problem {
  return new Problem(
    'body-too-large',
    `The writes of the transaction would take ${bytes} bytes together; ${maxBytes} are allowed.`,
    { facts: { maxBytes } },
  )
}
