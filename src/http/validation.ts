import AjvCompiler from '@fastify/ajv-compiler'
import type { ErrorObject } from 'ajv'
import type { FastifyServerOptions } from 'fastify'

interface Validate {
  (data: unknown): boolean
  errors?: ErrorObject[] | null
}

type BuildValidator = (
  schemas: Record<string, unknown>,
) => (route: { httpPart?: string; schema: unknown }) => Validate

/** Beyond this many values only the first fault is reported: the list of all could be larger than the body. */
const valuesListedMax = 50_000

const shared = { removeAdditional: false, useDefaults: true, strict: false, $data: false } as const

/**
 * Bodies are taken as they are: an unknown field or a number in quotes is refused. Parameters, queries and
 * headers arrive as text, so they are coerced. All faults of a request are listed.
 */
export function strictBodies(): NonNullable<FastifyServerOptions['schemaController']> {
  const compiler = AjvCompiler()
  const buildValidator: BuildValidator = (schemas) => {
    const compile = (customOptions: object) =>
      compiler(schemas as never, { customOptions: { ...shared, ...customOptions } }) as (
        route: object,
      ) => Validate
    const first = compile({ allErrors: false, coerceTypes: false })
    const all = compile({ allErrors: true, coerceTypes: false })
    const coerced = compile({ allErrors: true, coerceTypes: true })
    return (route) =>
      route.httpPart === 'body' ? listingFaults(first(route), all(route)) : coerced(route)
  }
  return { compilersFactory: { buildValidator: buildValidator as never } }
}

/** Answers fast when all is well, and with every fault when not. */
function listingFaults(first: Validate, all: Validate): Validate {
  const validate: Validate = (data) => {
    if (first(data)) return true
    const listing = countValues(data, valuesListedMax) < valuesListedMax ? all : first
    if (listing === all) all(data)
    validate.errors = listing.errors ?? null
    return false
  }
  return validate
}

/** Counts the values in `data`, giving up at `max`. */
function countValues(data: unknown, max: number): number {
  const open: unknown[] = [data]
  let count = 0
  for (let value = open.pop(); value !== undefined && count < max; value = open.pop()) {
    count += 1
    if (typeof value !== 'object' || value === null) continue
    for (const member of Object.values(value)) {
      open.push(member)
      if (open.length >= max) return max
    }
  }
  return count
}

/** One fault as the caller is told of it. */
export interface Fault {
  pointer: string
  message: string
}

const faultsMax = 100

/** Turns validation errors into pointers and messages; `root` is the part of the request they stand in. */
export function toFaults(errors: readonly ErrorObject[], root: string): Fault[] {
  const faults = errors
    .filter((error) => error.keyword !== 'if' && error.keyword !== 'anyOf')
    .slice(0, faultsMax)
    .map((error) => ({ pointer: `${root}${error.instancePath}`, message: messageOf(error) }))
  return faults.length > 0
    ? faults
    : errors.slice(0, 1).map((error) => ({
        pointer: `${root}${error.instancePath}`,
        message: messageOf(error),
      }))
}

function messageOf(error: ErrorObject): string {
  const { keyword, params, message = 'is not allowed' } = error
  if (keyword === 'additionalProperties')
    return `has an unknown field "${params['additionalProperty']}"`
  if (keyword === 'enum') return `must be one of ${params['allowedValues'].join(', ')}`
  return message
}
