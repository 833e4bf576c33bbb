import fc, { type Arbitrary } from 'fast-check'
import { type Body, carefulBodies, wildBodies } from './bodies.ts'
import { idNameOf, type Operation, type Parameter } from './document.ts'
import { junk, type Source, valuesFor } from './values.ts'

/** A request, ready to be sent as it is. */
export interface FuzzRequest {
  method: string
  path: string
  headers: Record<string, string>
  body?: Buffer
}

/** Requests of an operation: careful ones, which get deep, and wild ones, with one thing wrong or more. */
export function requestsOf(source: Source, operation: Operation): Arbitrary<FuzzRequest> {
  const inManner = (manner: Manner) => ({ ...manner, idName: idNameOf(operation) })
  const careful = fc.tuple(
    fc.tuple(...operation.parameters.map((one) => parameterValues(source, one, inManner(sparing)))),
    fc.constant(''),
    carefulBodies(source, operation),
  )
  const wild = fc.tuple(
    fc.tuple(...operation.parameters.map((one) => parameterValues(source, one, inManner(lavish)))),
    fc.oneof(fc.constant(''), strayParameters),
    wildBodies(source, operation),
  )
  return fc
    .oneof(careful, wild)
    .map(([values, extra, body]) => assemble(operation, values, { extra, body }))
}

/** How often, against other values, a parameter is junk, and how often one is there that need not be. */
interface Manner {
  junk: number
  present: number
}

const sparing: Manner = { junk: 0, present: 1 }
const lavish: Manner = { junk: 2, present: 4 }

const strayParameters = fc
  .tuple(fc.string(), fc.string())
  .map(([name, value]) => `${percentEncoded(name)}=${percentEncoded(value)}`)

interface Value {
  parameter: Parameter
  /** Undefined where the parameter is left out. */
  value: string | undefined
}

function parameterValues(
  source: Source,
  parameter: Parameter,
  manner: Manner & { idName: string },
): Arbitrary<Value> {
  const { schema, required = false } = parameter
  const name = parameter.name === 'id' ? manner.idName : parameter.name
  const texts = fc
    .oneof(
      { arbitrary: valuesFor(source, schema, { name }), weight: 3 },
      { arbitrary: junk, weight: manner.junk },
    )
    .map((value) => (typeof value === 'string' ? value : JSON.stringify(value)))
  const present = texts.filter((text) => text !== '').map((value) => ({ parameter, value }))
  if (required) return present
  return fc.oneof(
    { arbitrary: fc.constant({ parameter, value: undefined }), weight: 4 },
    { arbitrary: present, weight: manner.present },
  )
}

function assemble(
  { method, path, requestBody }: Operation,
  values: readonly Value[],
  { extra, body }: { extra: string; body: Body | undefined },
): FuzzRequest {
  let filled = path
  const query = extra === '' ? [] : [extra]
  const headers: Record<string, string> = {}
  for (const { parameter, value } of values) {
    if (value === undefined) continue
    const { name } = parameter
    if (parameter.in === 'path') filled = filled.replace(`{${name}}`, percentEncoded(value))
    if (parameter.in === 'query') query.push(`${name}=${percentEncoded(value)}`)
    if (parameter.in === 'header') headers[name] = headerText(value)
  }
  if (body?.type !== undefined) headers['content-type'] = headerText(body.type)
  const address = query.length > 0 ? `${filled}?${query.join('&')}` : filled
  const takesBody = requestBody !== undefined || method !== 'GET'
  return { method, path: address, headers, ...(takesBody && body && { body: body.bytes }) }
}

/** Half a character becomes the bytes that UTF-8 would give it. */
function percentEncoded(text: string): string {
  return text.isWellFormed()
    ? encodeURIComponent(text)
    : `${encodeURIComponent(text.toWellFormed())}%ED%A0%80`
}

/** What can stand in a header at all. */
function headerText(text: string): string {
  return text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '?')
}
