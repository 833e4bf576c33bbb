import { Problem } from '../problems.ts'
import type { RefusedProposal } from './judge.ts'
import type { Condition } from './operations.ts'

/** The problem with which an operation is refused. */
export function refusedOperation({
  namespace,
  key,
  refusal,
}: Omit<RefusedProposal, 'index'>): Problem {
  const entry = `the entry "${key}" of "${namespace}"`
  if (refusal.code === 'precondition-required') {
    return new Problem(
      'precondition-required',
      `Writes to "${namespace}" must say which version they replace, and that of ${entry} does not.`,
      { facts: { namespace, key } },
    )
  }
  if (refusal.code === 'serialization-failure') {
    return new Problem(
      'serialization-failure',
      `What the transaction has read, or writes, was changed since by another: ${entry}. Nothing of the transaction took effect; begin it again.`,
      { facts: { namespace, key, retry: true } },
    )
  }
  const { expected, actual } = refusal
  const found = actual === 0 ? 'there is none' : `it has version ${actual}`
  return new Problem(
    'version-mismatch',
    `The write expected ${entry} to ${inWords(expected)}, but ${found}.`,
    { facts: { namespace, key, expected: told(expected), actual } },
  )
}

/** The problem with which a proposal of several operations is refused whole. */
export function refusedProposal({ index, ...refused }: RefusedProposal): Problem {
  const problem = refusedOperation(refused)
  // It is no operation that is refused.
  if (problem.code === 'serialization-failure') return problem
  return new Problem(problem.code, problem.message, { facts: { ...problem.facts, index } })
}

function inWords(condition: Condition): string {
  if (condition.kind === 'absent') return 'be new'
  if (condition.kind === 'exists') return 'exist'
  const { versions } = condition
  if (versions.length === 1 && versions[0] === 0) return 'be new'
  return `have version ${versions.join(' or ')}`
}

function told(condition: Condition): number | string | readonly number[] {
  if (condition.kind === 'absent') return 0
  if (condition.kind === 'exists') return '*'
  const [only, ...others] = condition.versions
  return only === undefined || others.length > 0 ? condition.versions : only
}

/** The refusal where there is nothing under a key. */
export function entryNotFound(namespace: string, key: string): Problem {
  return new Problem('entry-not-found', `There is no entry "${key}" in "${namespace}".`, {
    facts: { namespace, key },
  })
}

/** The refusal where nobody has made the namespace. */
export function namespaceNotFound(namespace: string): Problem {
  return new Problem('namespace-not-found', `There is no namespace "${namespace}".`, {
    facts: { namespace },
  })
}

/** The refusal where a namespace was made at a primary that another has taken the place of, and never reached that. */
export function lostNamespace(namespace: string): Problem {
  return new Problem(
    'database-unavailable',
    `Another PostgreSQL has become the primary, and does not have the namespace "${namespace}" yet. Repeat in a moment.`,
    { headers: { 'retry-after': '1' } },
  )
}
