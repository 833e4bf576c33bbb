/** Bodies of actions, read so that every reader reads the same, and their whole numbers. */
import type { ActionBodies, ActionOf, Exact, Long } from '../actions.ts'
import {
  exactInteger,
  isIntegerSource,
  jsonDepthMax,
  nestsTooDeep,
  type ReviverContext,
  surveyJson,
} from '../json.ts'
import { countMembers } from '../json-ambiguity.ts'
import { longMax, longMin } from '../longs.ts'
import type { Report, ViolationCode } from '../violations.ts'

export type Body<K extends keyof ActionBodies> = Exact<ActionBodies[K]>

const intMax = 2 ** 31 - 1

/** A number with a fraction or an exponent becomes NaN: some readers take `1.0` for a long, some do not. */
function reviveInteger(_key: string, value: unknown, context?: ReviverContext): unknown {
  if (typeof value !== 'number') return value
  return isIntegerSource(context?.source) ? exactInteger(context.source) : Number.NaN
}

/**
 * The body of an action for judging: its whole numbers exact, and NaN where not written in plain digits. Of
 * a repeated member some readers take the first and some the last, so none may be repeated.
 */
export function readBody<K extends keyof ActionBodies>(
  action: ActionOf<K>,
  report: Report,
): Body<K> {
  const { kind, json } = action
  const { memberCount, hasPlainNumbers } = surveyJson(json)
  if (memberCount !== countMembers(action.body) + 1) {
    report('member-repeated', `${kind} has the same member twice in an object; keep one of them`)
  }
  if (hasPlainNumbers) return action.body as Body<K>
  if (nestsTooDeep(json)) {
    report('nesting-too-deep', `${kind} nests deeper than ${jsonDepthMax} values; flatten it`)
    return action.body as Body<K>
  }
  const [body] = Object.values(JSON.parse(json, reviveInteger) as Record<string, Body<K>>)
  return body as Body<K>
}

/** What is asked of a whole number. Those that may be negative have no `negative` code. */
interface Demand {
  name: string
  negative?: ViolationCode
  /** The name by which messages call it where that is not `name`. */
  title?: string
}

/** Judges a long. An absent one is no fault. */
export function checkLong(value: Long | null | undefined, demand: Demand, report: Report): void {
  if (value === null || value === undefined) return
  const { name, negative, title = name } = demand
  if (Number.isNaN(value) || value < longMin || value > longMax) {
    const message = `${name} must be a whole number from ${longMin} to ${longMax}, written in plain digits`
    report('long-invalid', message)
  } else if (negative !== undefined && value < 0) {
    report(negative, `${title} must be non-negative`)
  }
}

/** Whether a value is a whole number from 0 to 2^31 - 1. */
export function isNonNegativeInt(value: Long): boolean {
  return value >= 0 && value <= intMax
}
