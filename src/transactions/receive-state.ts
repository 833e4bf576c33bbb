import { elementSources, memberSources } from '../delta/json.ts'
import { invalidRequest } from '../http/faults.ts'
import { Problem } from '../problems.ts'
import type { Namespaces } from '../state/namespaces.ts'
import type { StateProposal } from '../state/operations.ts'
import { receiveOperations, type StateLimits } from '../state/receive-operations.ts'
import type { CreateTransaction } from './schema.ts'

/** What state operations of a transaction are received with. */
export interface ReceiveStateContext extends StateLimits {
  namespaces: Namespaces
}

/** Makes proposals of the `state` of a request; `text` is that member as it was sent. A namespace may stand once. */
export async function receiveState(
  { namespaces, ...limits }: ReceiveStateContext,
  entries: NonNullable<CreateTransaction['state']>,
  text: string,
): Promise<StateProposal[]> {
  const count = entries.reduce((sum, { operations }) => sum + operations.length, 0)
  refuseTooMany(count, limits)
  const sources = elementSources(text)
  const names = entries.map(({ namespace }) => namespace)
  const received = entries.map(({ namespace, operations }, index) => {
    const first = names.indexOf(namespace)
    if (first < index) throw repeated(index, first)
    const source = memberSources(sources[index] ?? '{}').get('operations') ?? '[]'
    const pointer = `/state/${index}/operations`
    return receiveOperations(operations, source, { pointer, limits })
  })
  const known = await namespaces.makeAll(names)
  return known.map((namespace, index) => ({
    ...namespace,
    operations: received[index] ?? [],
    isAtomic: true,
  }))
}

function refuseTooMany(count: number, { stateOperationsMax: max }: StateLimits): void {
  if (count <= max) return
  throw new Problem(
    'too-many-actions',
    `The transaction has ${count} operations on the state; ${max} are allowed.`,
    { facts: { maxActions: max } },
  )
}

function repeated(index: number, first: number): Problem {
  const message = `names the namespace of /state/${first}; write all its operations there`
  return invalidRequest('body', [{ pointer: `/state/${index}/namespace`, message }])
}
