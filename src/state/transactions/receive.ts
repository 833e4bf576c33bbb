import { elementSources } from '../../delta/json.ts'
import { Problem } from '../../problems.ts'
import { keyRange } from '../key-range.ts'
import type { GetOperation, StateOperation } from '../operations.ts'
import type { OperationBody } from '../operations-schema.ts'
import type { KeyRange } from '../read-queries.ts'
import { receiveOperation, refuseTooMany, type StateLimits } from '../receive-operations.ts'
import type { ListBody } from './schema.ts'

/** Reads entries by key. */
export interface ListOperation extends KeyRange {
  kind: 'list'
  limit: number
}

export type WriteOperation = Extract<StateOperation, { kind: 'put' | 'delete' }>

/** What an interactive transaction can be asked to do. */
export type TransactionOperation = WriteOperation | GetOperation | ListOperation

/** Each is a query of its own. */
const listsMax = 10

/** Reads operations of the right shape; `text` is their array as it was sent. */
export function receiveTransactionOperations(
  operations: readonly (OperationBody | ListBody)[],
  text: string,
  limits: StateLimits,
): TransactionOperation[] {
  refuseTooMany(operations.length, limits)
  const lists = operations.filter((body) => 'list' in body).length
  if (lists > listsMax) throw tooManyLists(lists)
  const sources = elementSources(text)
  return operations.map((body, index) => {
    if ('list' in body) return receiveList(body)
    const place = { pointer: `/operations/${index}`, limits }
    const operation = receiveOperation(body, sources[index] ?? '{}', place)
    if (operation.kind === 'expire') throw new Error('nobody can ask for an entry to expire')
    return operation
  })
}

function receiveList({ list: { after, limit = 100, ...range } }: ListBody): ListOperation {
  return { kind: 'list', ...keyRange(range), after, limit }
}

function tooManyLists(count: number): Problem {
  return new Problem(
    'too-many-actions',
    `There are ${count} lists; ${listsMax} are allowed at once. Send several requests.`,
    { facts: { maxActions: listsMax } },
  )
}
