import { type Action, actionShapes } from '../delta/actions.ts'
import { engineInfo } from '../delta/commit-info.ts'
import type { Fault } from '../delta/faults.ts'
import {
  actionBody,
  elementSources,
  jsonDepthMax,
  memberSources,
  nestsTooDeep,
  parseExact,
} from '../delta/json.ts'
import { longMax } from '../delta/longs.ts'
import { isStorableText } from '../delta/text.ts'
import { invalidRequest, type RequestFault } from '../http/faults.ts'
import { Problem } from '../problems.ts'
import { type CreateCommit, operationLengthMax } from './schema.ts'
import type { Proposal } from './unit.ts'

const infoMembers = ['operationParameters', 'operationMetrics', 'engineInfo', 'userMetadata']

/** The JSON texts that a body was read from: of its members, and of each of its actions. */
export interface BodySources {
  members: ReadonlyMap<string, string>
  actions: readonly string[]
  /** Where the body is lines: that of the other fields, and that of each action, from 1. */
  lines?: { proposal: number; actions: readonly number[] }
}

/** The sources of a JSON body. */
export function sourcesOf(text: string): BodySources {
  const members = memberSources(text)
  return { members, actions: elementSources(members.get('actions') ?? '[]') }
}

/** A fault of a body with the line that it stands in, if the body is lines. */
export function atLine(fault: Fault, { lines }: BodySources): RequestFault {
  if (lines === undefined) return fault
  const index = /^\/actions\/(\d+)/.exec(fault.pointer)?.[1]
  const line = index === undefined ? lines.proposal : lines.actions[Number(index)]
  return { ...fault, ...(line !== undefined && { line }) }
}

/** The refusal of a commit of more actions than the server takes. */
export function tooManyActions(found: string, maxActions: number): Problem {
  return new Problem('too-many-actions', `The commit has ${found}; ${maxActions} are allowed.`, {
    facts: { maxActions },
  })
}

/**
 * Makes a proposal of a body of the right shape. Actions keep the tokens of their sources. What the body says
 * of the commit goes before what a commitInfo among the actions says.
 */
export function toProposal(body: CreateCommit, sources: BodySources): Proposal {
  if (body.fences !== undefined) {
    throw new Problem('not-implemented', 'The field fences is not offered yet. Leave it out.', {
      facts: { field: 'fences' },
    })
  }
  if (body.reads !== undefined && body.readVersion === undefined) {
    const fault = { pointer: '/reads', message: 'says what was read, and needs readVersion' }
    throw invalidRequest('body', [atLine(fault, sources)])
  }
  const actions = sources.actions.map((source, index) => toAction(source, body.actions[index]))
  refuseUnfit(actions, sources)
  const given = actions.find((action) => action.kind === 'commitInfo')
  const info = new Map(given === undefined ? [] : memberSources(actionBody(given.json)))
  for (const name of infoMembers) {
    const source = sources.members.get(name)
    if (source !== undefined) info.set(name, source)
  }
  if (!info.has('engineInfo')) info.set('engineInfo', JSON.stringify(engineInfo))
  const { expectedVersion, readVersion, reads, isolationLevel } = body
  const { operation = operationOf(given?.body) ?? 'WRITE' } = body
  const appTransaction = appTransactionOf(sources)
  return {
    expectedVersion,
    readVersion,
    reads,
    isolationLevel,
    appTransaction,
    operation,
    info,
    actions,
  }
}

/** The pair of `idempotency`, its version exact. */
function appTransactionOf(sources: BodySources): Proposal['appTransaction'] {
  const source = sources.members.get('idempotency')
  if (source === undefined) return undefined
  const pair = parseExact(source) as NonNullable<Proposal['appTransaction']>
  if (pair.version <= longMax) return pair
  const message = `must be a whole number from 0 to ${longMax}`
  throw invalidRequest('body', [atLine({ pointer: '/idempotency/version', message }, sources)])
}

/** Reads an action from its log line. */
export function parseAction(line: string): Action {
  return toAction(line, JSON.parse(line))
}

/** An action has one member, named for its kind; of a kind that is not known the value is kept as it is. */
function toAction(json: string, value: object | undefined): Action {
  const [entry] = Object.entries(value ?? {})
  const [name = '', body] = entry ?? []
  return Object.hasOwn(actionShapes, name)
    ? ({ kind: name, body, json } as Action)
    : { kind: 'other', name, body, json }
}

/** What no reader of the log could take, whatever the action means. */
function refuseUnfit(actions: readonly Action[], sources: BodySources): void {
  const faults: Fault[] = []
  const message = `nests deeper than ${jsonDepthMax} values; flatten it`
  for (const name of infoMembers) {
    const source = sources.members.get(name)
    if (source !== undefined && nestsTooDeep(source)) faults.push({ pointer: `/${name}`, message })
  }
  for (const [index, { json, ...action }] of actions.entries()) {
    const pointer = `/actions/${index}`
    if (nestsTooDeep(json)) faults.push({ pointer, message })
    if (action.kind === 'commitInfo' && !isOperation(operationOf(action.body))) {
      faults.push({ pointer: `${pointer}/commitInfo/operation`, message: operationMessage })
    }
  }
  if (faults.length > 0) {
    throw invalidRequest(
      'body',
      faults.slice(0, faultsMax).map((fault) => atLine(fault, sources)),
    )
  }
}

const faultsMax = 100
const operationMessage = `must have 1 to ${operationLengthMax} characters, none of them NUL`

function operationOf(commitInfo: Record<string, unknown> | undefined): string | undefined {
  const operation = commitInfo?.['operation']
  return typeof operation === 'string' ? operation : undefined
}

function isOperation(operation: string | undefined): boolean {
  if (operation === undefined) return true
  return operation !== '' && operation.length <= operationLengthMax && isStorableText(operation)
}
