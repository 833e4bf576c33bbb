import AjvCompiler from '@fastify/ajv-compiler'
import type { ErrorObject } from 'ajv'
import type { FastifyInstance, FastifyRequest, FastifyServerOptions } from 'fastify'
import type { Fault } from '../delta/faults.ts'
import { invalidRequest, toFaults } from './faults.ts'
import { strictObject } from './schema.ts'

interface Validate {
  (data: unknown): boolean
  errors?: ErrorObject[] | null
}

type BuildValidator = (
  schemas: Record<string, unknown>,
) => (route: { httpPart?: string; schema: unknown }) => Validate

/** Beyond this many values only the first fault is reported: Ajv's time to list them all grows with their square. */
const valuesListedMax = 10_000

const shared = {
  removeAdditional: false,
  useDefaults: true,
  strict: false,
  verbose: true,
  // Ours are held against the meta-schema when the OpenAPI document is checked, not at each start.
  validateSchema: false,
} as const
/** Infinity, as which `1e400` is read, is no number. */
const asTheyAre = { coerceTypes: false, strictNumbers: true } as const

/**
 * Bodies are taken as they are: an unknown field or a number in quotes is refused. Parameters, queries and
 * headers arrive as text, so they are coerced. All faults of a request are listed. Answers leave as they are: a
 * serializer for each route and status took half of the time that the server takes to start.
 */
export function strictSchemas(): NonNullable<FastifyServerOptions['schemaController']> {
  const compiler = AjvCompiler()
  const buildValidator: BuildValidator = (schemas) => {
    const compile = (customOptions: object) => {
      const build = compiler(schemas as never, { customOptions: { ...shared, ...customOptions } })
      return (route: object) => onceNeeded(() => build(route as never) as Validate)
    }
    const first = compile({ ...asTheyAre, allErrors: false })
    const all = compile({ ...asTheyAre, allErrors: true })
    const coerced = compile({ allErrors: true, coerceTypes: true })
    return (route) => {
      if (isOfLines(route.schema)) return () => true
      return route.httpPart === 'body' ? listingFaults(first(route), all(route)) : coerced(route)
    }
  }
  const buildSerializer = () => () => JSON.stringify
  return { compilersFactory: { buildValidator: buildValidator as never, buildSerializer } }
}

/** Compiles when the first value comes: for all operations it takes a quarter of the time that the server starts in. */
function onceNeeded(compile: () => Validate): Validate {
  let compiled: Validate | undefined
  const validate: Validate = (data) => {
    compiled ??= compile()
    const isValid = compiled(data)
    validate.errors = compiled.errors ?? null
    return isValid
  }
  return validate
}

/** A body of lines is checked by its route, as they arrive. */
function isOfLines(schema: unknown): boolean {
  return (schema as { contentMediaType?: string }).contentMediaType === 'application/x-ndjson'
}

/**
 * A route that says nothing of a query takes none: what stands there in vain is refused, not passed over. Only the
 * routes about the service itself take anything, for the sake of probes. Call it before the routes.
 */
export function installStrictQueries(app: FastifyInstance): void {
  app.addHook('onRoute', ({ schema }) => {
    if (schema === undefined || schema.hide || schema.tags?.includes('service')) return
    schema.querystring ??= strictObject({})
  })
}

/** Finds the faults of values that a route checks itself, as those of a body. */
export function faultFinder(request: FastifyRequest, schema: object): (value: object) => Fault[] {
  const validate = request.compileValidationSchema(schema, 'body')
  return (value) =>
    validate(value) ? [] : toFaults((validate.errors ?? []) as ErrorObject[], 'body')
}

/** Refuses fields in the query that belong into a JSON body. */
export function refuseMisplaced(query: object): void {
  const message = 'stands in the body when that is JSON'
  const faults = Object.keys(query).map((name) => ({ pointer: `/query/${name}`, message }))
  if (faults.length > 0) throw invalidRequest('query', faults)
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
    for (const name in value) {
      open.push((value as Record<string, unknown>)[name])
      if (open.length >= max) return max
    }
  }
  return count
}
