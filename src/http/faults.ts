import type { ErrorObject } from 'ajv'
import type { Fault } from '../delta/faults.ts'
import { Problem } from '../problems.ts'

/** The part of a request that a fault stands in, as its callers know it. */
export type RequestPart = 'body' | 'query' | 'params' | 'headers'

/** A fault of a request; `line` where the body is lines, from 1. */
export interface RequestFault extends Fault {
  line?: number
}

/** The refusal of a request of the wrong shape. There must be a fault. */
export function invalidRequest(part: RequestPart, faults: readonly RequestFault[]): Problem {
  const [first] = faults
  const place = first?.line === undefined ? `In the ${part}` : `Line ${first.line} of the body`
  const fault = [first?.pointer, first?.message].filter(Boolean).join(' ')
  const more = faults.length > 1 ? ` And ${faults.length - 1} more.` : ''
  return new Problem('invalid-request', `${place}: ${fault}.${more}`, {
    facts: { errors: faults },
  })
}

/** Refuses those times of a body that are longer than this server allows. */
export function refuseBeyond(
  times: Readonly<Record<string, number>>,
  maxima: Readonly<Record<string, number>>,
): void {
  const faults = Object.entries(times).flatMap(([field, ms]) => {
    const max = maxima[field]
    return max === undefined || ms <= max
      ? []
      : [{ pointer: `/${field}`, message: `must be at most ${max}` }]
  })
  if (faults.length > 0) throw invalidRequest('body', faults)
}

const faultsMax = 100
const shownCharacters = 200

/** Turns what Ajv found into pointers and messages, one for each place and rule; `part` is where it looked. */
export function toFaults(errors: readonly ErrorObject[], part: RequestPart): Fault[] {
  const root = part === 'body' ? '' : `/${part}`
  const told = errors.filter(({ keyword }) => keyword !== 'if' && keyword !== 'anyOf')
  const byPlace = Map.groupBy(told.length > 0 ? told : errors, placeOf)
  return [...byPlace.values()].slice(0, faultsMax).flatMap(([first, ...others]) =>
    first === undefined
      ? []
      : {
          pointer: cut(`${root}${first.instancePath}`),
          message: messageOf(first, others),
        },
  )
}

/** Branches of a union that ask for different types at one place are one fault. */
function placeOf({ instancePath, keyword, schemaPath, params }: ErrorObject): string {
  const rule = keyword === 'type' ? '' : `${schemaPath} ${JSON.stringify(params)}`
  return `${instancePath} ${keyword} ${rule}`
}

function messageOf(error: ErrorObject, others: readonly ErrorObject[]): string {
  const { keyword, params, message = 'is not allowed', parentSchema } = error
  switch (keyword) {
    case 'additionalProperties':
      return `has an unknown field "${cut(params['additionalProperty'])}"`
    case 'enum':
      return `must be one of ${params['allowedValues'].join(', ')}`
    case 'type':
      return `must be ${[error, ...others].map((one) => one.params['type']).join(' or ')}`
    case 'pattern':
      return `does not fit: ${parentSchema?.['description'] ?? params['pattern']}`.replace(
        /\.$/,
        '',
      )
    case 'format':
      return `must be ${formats.get(params['format']) ?? params['format']}`
    default:
      return message
  }
}

const formats: ReadonlyMap<string, string> = new Map([
  [
    'date-time',
    'an instant in RFC 3339 with its zone, such as 2026-11-20T08:30:00Z; a "+" in a query is written %2B',
  ],
])

/** A name that a caller gave, short enough to be told. */
function cut(text: string): string {
  return text.length > shownCharacters ? `${text.slice(0, shownCharacters).toWellFormed()}…` : text
}
