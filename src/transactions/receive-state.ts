import { elementSources, memberSources } from '../delta/json.ts'
import { invalidRequest } from '../http/faults.ts'
import { Problem } from '../problems.ts'
import type { Namespaces } from '../state/namespaces.ts'
import type { StateOperation, StateProposal } from '../state/operations.ts'
import { receiveOperations, type StateLimits } from '../state/receive-operations.ts'
import type { CreateTransaction } from './schema.ts'

/** What state operations of a transaction are received with. */
export interface ReceiveStateContext extends StateLimits {
  namespaces: Namespaces
}

/** What a request asks of a namespace. */
export interface ReceivedNamespace {
  namespace: string
  operations: StateOperation[]
  /** Each operation as it was sent. */
  texts: string[]
}

/** Reads the `state` of a request; `text` is that member as it was sent. A namespace may stand once. */
export function readState(
  entries: NonNullable<CreateTransaction['state']>,
  text: string,
  limits: StateLimits,
): ReceivedNamespace[] {
  refuseTooMany(
    entries.reduce((sum, { operations }) => sum + operations.length, 0),
    limits,
  )
  const sources = elementSources(text)
  const names = entries.map(({ namespace }) => namespace)
  return entries.map(({ namespace, operations }, index) => {
    const first = names.indexOf(namespace)
    if (first < index) throw repeated(index, first)
    const source = memberSources(sources[index] ?? '{}').get('operations') ?? '[]'
    const pointer = `/state/${index}/operations`
    const received = receiveOperations(operations, source, { pointer, limits })
    return { namespace, operations: received, texts: elementSources(source) }
  })
}

/** Makes proposals to namespaces, which are made where there are none. */
export async function proposeState(
  { namespaces }: Pick<ReceiveStateContext, 'namespaces'>,
  received: readonly Pick<ReceivedNamespace, 'namespace' | 'operations'>[],
): Promise<StateProposal[]> {
  const known = await namespaces.makeAll(received.map(({ namespace }) => namespace))
  return known.map((namespace, index) => ({
    ...namespace,
    operations: received[index]?.operations ?? [],
    isAtomic: true,
  }))
}

/** Refuses so many operations on the state in one transaction. */
export function refuseTooMany(count: number, { stateOperationsMax: max }: StateLimits): void {
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
