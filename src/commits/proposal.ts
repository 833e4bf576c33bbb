import { type Action, actionShapes } from '../delta/actions.ts'
import { engineInfo } from '../delta/commit-info.ts'
import type { Fault } from '../delta/faults.ts'
import { actionBody, jsonDepthMax, memberSources, nestsTooDeep, parseExact } from '../delta/json.ts'
import { longMax } from '../delta/longs.ts'
import { isStorableText } from '../delta/text.ts'
import { invalidRequest, type RequestFault } from '../http/faults.ts'
import { toFences } from '../locks/fences.ts'
import { Problem } from '../problems.ts'
import { type CreateCommit, operationLengthMax } from './schema.ts'
import type { Proposal } from './unit.ts'

const infoMembers = ['operationParameters', 'operationMetrics', 'engineInfo', 'userMetadata']

/** The JSON texts of the fields of a body; `line` is that of the fields where the body is lines. */
export interface FieldSources {
  members: ReadonlyMap<string, string>
  line?: number
}

/** The JSON texts of actions of a body, the first of which is its `first`-th, and their lines where it has such. */
export interface ActionSources {
  texts: readonly string[]
  first: number
  lines?: readonly number[]
}

/** A fault of fields, with their line if they have one. */
export function inFields(fault: Fault, { line }: Pick<FieldSources, 'line'>): RequestFault {
  return line === undefined ? fault : { ...fault, line }
}

/** A fault told of `actions` as if they were all, with its true place and line. */
export function inActions(fault: Fault, { first, lines }: ActionSources): RequestFault {
  const [start, at] = /^\/actions\/(\d+)/.exec(fault.pointer) ?? []
  if (start === undefined) return fault
  const pointer = `/actions/${first + Number(at)}${fault.pointer.slice(start.length)}`
  const line = lines?.[Number(at)]
  return { ...fault, pointer, ...(line !== undefined && { line }) }
}

/** The refusal of a commit of more actions than the server takes. */
export function tooManyActions(found: string, maxActions: number): Problem {
  return new Problem('too-many-actions', `The commit has ${found}; ${maxActions} are allowed.`, {
    facts: { maxActions },
  })
}

/**
 * Makes a proposal of fields of the right shape and of actions that were read already. What the fields say of the
 * commit goes before what a commitInfo among the actions says.
 */
export function toProposal(
  fields: Omit<CreateCommit, 'actions'>,
  sources: FieldSources,
  { actions, staged }: Pick<Proposal, 'actions' | 'staged'>,
): Proposal {
  refuseFields(fields, sources)
  const given = actions.find((action) => action.kind === 'commitInfo')
  const info = new Map(given === undefined ? [] : memberSources(actionBody(given.json)))
  for (const name of infoMembers) {
    const source = sources.members.get(name)
    if (source !== undefined) info.set(name, source)
  }
  if (!info.has('engineInfo')) info.set('engineInfo', JSON.stringify(engineInfo))
  const { expectedVersion, readVersion, reads, isolationLevel } = fields
  const { operation = operationOf(given?.body) ?? 'WRITE' } = fields
  const appTransaction = appTransactionOf(sources)
  return {
    expectedVersion,
    readVersion,
    reads,
    isolationLevel,
    appTransaction,
    operation,
    fences: toFences(fields.fences),
    info,
    actions,
    staged,
  }
}

/** Refuses fields that stand alone, or could not be kept. */
function refuseFields(fields: Omit<CreateCommit, 'actions'>, sources: FieldSources): void {
  if (fields.reads !== undefined && fields.readVersion === undefined) {
    const fault = { pointer: '/reads', message: 'says what was read, and needs readVersion' }
    throw invalidRequest('body', [inFields(fault, sources)])
  }
  const faults = infoMembers.flatMap((name) => {
    const source = sources.members.get(name)
    const isTooDeep = source !== undefined && nestsTooDeep(source)
    return isTooDeep ? inFields({ pointer: `/${name}`, message: depthMessage }, sources) : []
  })
  if (faults.length > 0) throw invalidRequest('body', faults)
}

/** Actions of the right shape, with the tokens of their sources. Throws for what no reader of the log could take. */
export function toActions(values: readonly unknown[], sources: ActionSources): Action[] {
  const actions = sources.texts.map((source, index) => toAction(source, values[index] as object))
  const faults = actions.flatMap(faultsOf)
  if (faults.length > 0) {
    const told = faults.slice(0, faultsMax).map((fault) => inActions(fault, sources))
    throw invalidRequest('body', told)
  }
  return actions
}

const depthMessage = `nests deeper than ${jsonDepthMax} values; flatten it`

function faultsOf({ json, ...action }: Action, index: number): Fault[] {
  const pointer = `/actions/${index}`
  const faults: Fault[] = []
  if (nestsTooDeep(json)) faults.push({ pointer, message: depthMessage })
  if (action.kind === 'commitInfo' && !isOperation(operationOf(action.body))) {
    faults.push({ pointer: `${pointer}/commitInfo/operation`, message: operationMessage })
  }
  return faults
}

/** The pair of `idempotency`, its version exact. */
function appTransactionOf(sources: FieldSources): Proposal['appTransaction'] {
  const source = sources.members.get('idempotency')
  if (source === undefined) return undefined
  const pair = parseExact(source) as NonNullable<Proposal['appTransaction']>
  if (pair.version <= longMax) return pair
  const message = `must be a whole number from 0 to ${longMax}`
  throw invalidRequest('body', [inFields({ pointer: '/idempotency/version', message }, sources)])
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
