import fc, { type Arbitrary } from 'fast-check'
import type { Media, Operation } from './document.ts'
import { mutated, mutatedText } from './mutations.ts'
import { type Source, valuesFor } from './values.ts'

/** A body as it is sent; `type` is its content type, if it tells one. */
export interface Body {
  type?: string
  bytes: Buffer
}

/** Bodies that fit, or nearly; none where none is taken. */
export function carefulBodies(source: Source, operation: Operation): Arbitrary<Body | undefined> {
  return bodiesOf(operation, (type, media) => textsOf(type, valuesOf(source, type, media)))
}

/** Bodies with something wrong: in their values, their text or their type, or that there are any. */
export function wildBodies(source: Source, operation: Operation): Arbitrary<Body | undefined> {
  const mutatedBodies = bodiesOf(operation, (type, media) => {
    const values = valuesOf(source, type, media).chain(mutatedList)
    const texts = textsOf(type, values)
    return fc.oneof(
      { arbitrary: texts, weight: 4 },
      { arbitrary: texts.chain(mutatedText), weight: 1 },
    )
  })
  const types = [...Object.keys(operation.requestBody?.content ?? {}), ...strayTypes]
  const bytes = fc.oneof(
    carefulBodies(source, operation).map((body) => body?.bytes ?? Buffer.from('{}')),
    fc.uint8Array().map((values) => Buffer.from(values)),
  )
  const odd = fc
    .tuple(bytes, fc.option(fc.constantFrom(...types), { nil: undefined }))
    .map(([content, type]) => ({ bytes: content, ...(type !== undefined && { type }) }))
  return fc.oneof({ arbitrary: mutatedBodies, weight: 3 }, { arbitrary: odd, weight: 1 })
}

const strayTypes = ['application/json; a=b', 'APPLICATION/JSON', 'text/xml', ';', '']

function bodiesOf(
  { requestBody }: Operation,
  texts: (type: string, media: Media) => Arbitrary<string>,
): Arbitrary<Body | undefined> {
  const contents = Object.entries(requestBody?.content ?? {})
  if (contents.length === 0) return fc.constant(undefined)
  const bodies = contents.map(([type, media]) =>
    texts(type, media).map((text) => ({ type, bytes: Buffer.from(text) })),
  )
  return fc.oneof(...bodies)
}

const isLines = (type: string) => type.endsWith('ndjson')

/** One value, or where the type is one of lines, values one a line. */
function textsOf(type: string, lists: Arbitrary<unknown[]>): Arbitrary<string> {
  const end = isLines(type) ? '\n' : ''
  return lists.map((list) => list.map((value) => `${JSON.stringify(value)}${end}`).join(''))
}

function valuesOf(source: Source, type: string, { schema, example }: Media): Arbitrary<unknown[]> {
  if (isLines(type)) {
    const lines = String(example ?? '{}').split('\n')
    const values = lines.flatMap((line): unknown[] => (line === '' ? [] : [JSON.parse(line)]))
    return fc.shuffledSubarray(values, { minLength: Math.min(1, values.length) })
  }
  const made = valuesFor(source, schema)
  if (example === undefined) return made.map((value) => [value])
  // The example with a member or two from elsewhere gets deeper than what is made from the schema alone.
  const mixed = fc.tuple(made, fc.nat(), fc.nat()).map(([value, ...picks]) => {
    const members = Object.entries(Object(value))
    const others = picks.flatMap((pick) => [members[pick % members.length] ?? ['', 0]])
    return { ...(example as object), ...Object.fromEntries(members.length > 0 ? others : []) }
  })
  return fc.oneof(fc.constant(example), mixed, made).map((value) => [value])
}

function mutatedList(values: unknown[]): Arbitrary<unknown[]> {
  return fc.tuple(...values.map((value) => fc.oneof(mutated(value), fc.constant(value))))
}
