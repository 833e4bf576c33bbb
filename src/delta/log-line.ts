/** Lines of a log that any writer may have written. */
import { Ajv } from 'ajv'
import Type from 'typebox'
import { type Action, actionShapes } from './actions.ts'
import { jsonDepthMax, memberSources, nestsTooDeep } from './json.ts'
import { quoted } from './text.ts'

/** An action of a log. */
export interface LoggedAction {
  action: Action
  /** The line as it stands in the file, but for white space around it. */
  line: string
  /** Whether the line says more than the action: another writer may put beside it what this service does not know. */
  hasMore: boolean
}

/** What was read in a line; or what is wrong with it, to be read behind its place. */
export type ReadLine = { logged: LoggedAction; fault?: undefined } | { fault: string }

type Kind = keyof typeof actionShapes

/** Early writers gave tables no schema. */
const loggedShapes = {
  ...actionShapes,
  metaData: Type.Object({
    ...actionShapes.metaData.properties,
    schemaString: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  }),
}

/** Compiles each shape when the first line of its kind comes. */
const shapes = new Ajv({ strict: false, validateSchema: false })

/** Reads a line of a commit. An action that is not known is kept; two that are known leave open which one is meant. */
export function readLogLine(text: string): ReadLine {
  const line = text.trim()
  if (nestsTooDeep(line)) return { fault: `nests deeper than ${jsonDepthMax} values` }
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    return { fault: `is not JSON: ${error instanceof Error ? error.message : String(error)}` }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { fault: 'is no JSON object' }
  }
  return readAction(line, value as Record<string, unknown>)
}

function readAction(line: string, value: Record<string, unknown>): ReadLine {
  const names = Object.keys(value)
  const [name = '', second] = names.filter((one) => isKind(one) && value[one] !== null)
  if (second !== undefined) return { fault: `holds two actions, ${name} and ${second}` }
  if (!isKind(name)) {
    const [other = ''] = names
    const action: Action = { kind: 'other', name: other, body: value[other], json: line }
    return { logged: { action, line, hasMore: false } }
  }
  const body = value[name]
  const fault = shapeFault(name, body)
  if (fault !== undefined) return { fault }
  const hasMore = names.length > 1
  const json = hasMore ? `{"${name}":${memberSources(line).get(name)}}` : line
  return { logged: { action: { kind: name, body, json } as Action, line, hasMore } }
}

function isKind(name: string): name is Kind {
  return Object.hasOwn(actionShapes, name)
}

function shapeFault(kind: Kind, body: unknown): string | undefined {
  const check = shapes.compile(loggedShapes[kind])
  if (check(body)) return undefined
  const [first] = check.errors ?? []
  const place = first?.instancePath ? ` at ${quoted(first.instancePath)}` : ''
  return `holds a ${kind} that${place} ${first?.message ?? 'has the wrong shape'}`
}
