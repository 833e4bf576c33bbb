import fc, { type Arbitrary } from 'fast-check'
import { type ApiDocument, resolveSchema, type Schema } from './document.ts'
import type { Seen } from './seen.ts'

/** What values are made from. */
export interface Source {
  document: ApiDocument
  seen: Seen
}

const depthMax = 6
const itemsMax = 4

/** Texts that mean something to what they pass through. */
const hostileTexts = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  '\ufeff',
  '../..',
  "'; drop table tables; --",
  '%00',
  '{{x}}',
  '__proto__',
  'constructor',
  '1e400',
  '-1',
  'null',
  'x'.repeat(3000),
]

export const hostileText: Arbitrary<string> = fc.constantFrom(...hostileTexts)

/** Values that fit a schema, or nearly; some are ones that the server has spoken of under the same name. */
export function valuesFor(
  source: Source,
  given: Schema,
  { name = '', depth = 0 }: { name?: string; depth?: number } = {},
): Arbitrary<unknown> {
  const schema = resolveSchema(source.document, given)
  const made = madeFor(source, schema, depth)
  const known = fc.nat().map((index) => {
    const values = source.seen.under(name)
    return values[index % values.length]
  })
  if (name === '' || source.seen.under(name).length === 0) return made
  return fc.oneof({ arbitrary: made, weight: 1 }, { arbitrary: known, weight: 4 })
}

function madeFor(source: Source, schema: Schema, depth: number): Arbitrary<unknown> {
  const branches = schema.anyOf ?? schema.oneOf
  if (branches !== undefined) {
    return fc.oneof(...branches.map((branch) => valuesFor(source, branch, { depth })))
  }
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  const types = [schema.type ?? (schema.properties ? 'object' : 'any')].flat()
  return fc.oneof(...types.map((type) => valuesOfType(type, source, { schema, depth })))
}

function valuesOfType(
  type: string,
  source: Source,
  { schema, depth }: { schema: Schema; depth: number },
): Arbitrary<unknown> {
  switch (type) {
    case 'string':
      return textsFor(schema)
    case 'integer':
    case 'number':
      return integersFor(schema)
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(valuesFor(source, schema.items ?? {}, { depth: depth + 1 }), {
        minLength: schema.minItems ?? 0,
        maxLength: depth < depthMax ? itemsMax : (schema.minItems ?? 0),
      })
    case 'object':
      return objectsFor(source, schema, depth)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

function textsFor({ pattern, format, minLength = 0, maxLength = 100 }: Schema): Arbitrary<string> {
  if (format === 'date-time') return fc.date({ noInvalidDate: true }).map((at) => at.toISOString())
  if (format === 'uuid') return fc.uuid()
  if (pattern !== undefined) {
    return fc.stringMatching(new RegExp(pattern, 'u'), { maxLength: Math.min(maxLength, 50) })
  }
  const length = { minLength, maxLength: Math.min(maxLength, 50) }
  return fc.oneof(
    { arbitrary: fc.string({ unit: 'grapheme-ascii', ...length }), weight: 3 },
    { arbitrary: fc.string({ unit: 'binary', ...length }), weight: 1 },
    { arbitrary: hostileText, weight: 1 },
  )
}

function integersFor({ minimum, maximum }: Schema): Arbitrary<number> {
  const min = minimum ?? Number.MIN_SAFE_INTEGER
  const max = Math.min(maximum ?? Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
  const near = Math.max(min, 0)
  // Where the document sets no bounds, any number is right, also one that no long can hold.
  const beyond = [
    ...(minimum === undefined ? [-(2 ** 65)] : []),
    ...(maximum === undefined ? [2 ** 63] : []),
  ]
  return fc.oneof(
    fc.integer({ min: near, max: Math.min(max, near + 10) }),
    fc.constantFrom(min, max, ...beyond),
    fc.integer({ min, max }),
  )
}

function objectsFor(source: Source, schema: Schema, depth: number): Arbitrary<object> {
  const { properties = {}, required = [], additionalProperties = true } = schema
  const optional = Object.keys(properties).filter((name) => !required.includes(name))
  const maxLength = Math.min(schema.maxProperties ?? 3, depth < depthMax ? 3 : 0)
  const minLength = Math.min(schema.minProperties ?? 0, maxLength, optional.length)
  const others =
    additionalProperties === false || optional.length > 0
      ? fc.constant({})
      : fc.dictionary(
          fc.string({ maxLength: 10 }),
          additionalProperties === true
            ? fc.jsonValue({ maxDepth: 1 })
            : valuesFor(source, additionalProperties, { depth: depth + 1 }),
          { maxKeys: Math.min(schema.maxProperties ?? 3, 3) },
        )
  return fc
    .tuple(
      fc.subarray(optional, { minLength, maxLength: Math.min(maxLength, optional.length) }),
      others,
    )
    .chain(([chosen, more]) => {
      const members = [...required, ...chosen].map((name) => [
        name,
        valuesFor(source, properties[name] ?? {}, { name, depth: depth + 1 }),
      ])
      return fc.record(Object.fromEntries(members)).map((made) => ({ ...more, ...made }))
    })
}

/** Values that fit hardly anything. */
export const junk: Arbitrary<unknown> = fc.oneof(
  { arbitrary: hostileText, weight: 3 },
  fc.constantFrom(null, true, 0, -1, 1.5, 2 ** 53, -(2 ** 63), 1e308, [], {}, [[]], { a: {} }),
  fc.string({ unit: 'binary' }),
  fc.jsonValue({ maxDepth: 2 }),
)
