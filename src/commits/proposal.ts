import { type Action, actionShapes } from '../delta/actions.ts'
import { engineInfo } from '../delta/commit-info.ts'
import { actionBody, elementSources, memberSources } from '../delta/json.ts'
import { Problem } from '../problems.ts'
import type { CreateCommit } from './schema.ts'
import type { Proposal } from './unit.ts'

const infoMembers = ['operationParameters', 'operationMetrics', 'engineInfo', 'userMetadata']
const later = ['readVersion', 'reads', 'isolationLevel', 'idempotency', 'fences'] as const

/** The JSON texts that a body was read from: of its members, and of each of its actions. */
export interface BodySources {
  members: ReadonlyMap<string, string>
  actions: readonly string[]
}

/** The sources of a JSON body. */
export function sourcesOf(text: string): BodySources {
  const members = memberSources(text)
  return { members, actions: elementSources(members.get('actions') ?? '[]') }
}

/**
 * Makes a proposal of a body of the right shape. Actions keep the tokens of their sources. What the body says
 * of the commit goes before what a commitInfo among the actions says.
 */
export function toProposal(body: CreateCommit, sources: BodySources): Proposal {
  const early = later.find((name) => body[name] !== undefined)
  if (early !== undefined) {
    throw new Problem('not-implemented', `The field ${early} is not offered yet. Leave it out.`, {
      facts: { field: early },
    })
  }
  const actions = sources.actions.map((source, index) => toAction(source, body.actions[index]))
  const given = actions.find((action) => action.kind === 'commitInfo')
  const info = new Map(given === undefined ? [] : memberSources(actionBody(given.json)))
  for (const name of infoMembers) {
    const source = sources.members.get(name)
    if (source !== undefined) info.set(name, source)
  }
  if (!info.has('engineInfo')) info.set('engineInfo', JSON.stringify(engineInfo))
  const { expectedVersion, operation = operationOf(given?.body) ?? 'WRITE' } = body
  return { expectedVersion, operation, info, actions }
}

/** An action has one member, named for its kind; of a kind that is not known the value is kept as it is. */
function toAction(json: string, value: object | undefined): Action {
  const [entry] = Object.entries(value ?? {})
  const [name = '', body] = entry ?? []
  return Object.hasOwn(actionShapes, name)
    ? ({ kind: name, body, json } as Action)
    : { kind: 'other', name, body, json }
}

function operationOf(commitInfo: Record<string, unknown> | undefined): string | undefined {
  const operation = commitInfo?.['operation']
  return typeof operation === 'string' ? operation : undefined
}
