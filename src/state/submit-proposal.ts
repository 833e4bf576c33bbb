import type { Committer } from '../commits/committer.ts'
import type { Answer, IdempotentRequest, WriteOutcome } from '../idempotency/rules.ts'
import type { Fence } from '../locks/fences.ts'
import type { Problem } from '../problems.ts'
import type { Namespaces } from './namespaces.ts'
import type { StateProposal, StateResult } from './operations.ts'

/** What writes to the state need. */
export interface StateContext {
  committer: Committer
  namespaces: Namespaces
}

/** What is asked of one namespace, and how what becomes of it is answered. */
export interface AskedProposal {
  namespace: string
  proposal: Omit<StateProposal, 'namespaceId' | 'namespace'>
  fences: readonly Fence[]
  idempotent: IdempotentRequest | undefined
  answer: (result: StateResult | Problem) => Answer
}

/** Commits what one request asks of a namespace, which is made where there is none. */
export async function submitProposal(
  { committer, namespaces }: StateContext,
  { namespace, proposal, answer, ...asked }: AskedProposal,
): Promise<WriteOutcome> {
  const known = await namespaces.make(namespace)
  return committer.submit({
    parts: [],
    state: [{ ...known, ...proposal }],
    ...asked,
    answer: (verdict) => {
      if (verdict.kind === 'refused') return answer(verdict.problem)
      const [result] = verdict.state
      if (result === undefined) throw new Error('a proposal to the state had no result')
      return answer(result)
    },
  })
}
