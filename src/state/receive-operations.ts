import type { Fault } from '../delta/faults.ts'
import { compactJson, elementSources, memberSources } from '../delta/json.ts'
import { exceedsBytes } from '../delta/text.ts'
import { invalidRequest } from '../http/faults.ts'
import { parseJson } from '../http/json-reading.ts'
import { Problem } from '../problems.ts'
import type { Comparison, Condition, PutOperation, StateOperation } from './operations.ts'
import type { ComparisonBody, OperationBody } from './operations-schema.ts'
import type { EntryValue } from './rows.ts'

/** What a request may ask of the state. */
export interface StateLimits {
  stateValueBytesMax: number
  stateOperationsMax: number
}

/** Fields of a put; `text` is the object that holds them, as it was sent. */
interface PutFields {
  fields: {
    value?: unknown
    valueBase64?: string
    contentType?: string
    metadata?: object
    ttlMs?: number | null
    expectedVersion?: number
  }
  text: string
  pointer: string
}

const jsonType = 'application/json'
const anyType = 'application/octet-stream'

/** Makes a put of fields of the right shape. Throws where the value is missing, too large or no base64. */
export function toPut(
  key: string,
  { fields, text, pointer }: PutFields,
  limits: StateLimits,
): PutOperation {
  const sources = memberSources(text)
  const { ttlMs, expectedVersion } = fields
  return {
    kind: 'put',
    key,
    value: putValue(fields, sources.get('value'), { pointer, limits }),
    metadata: metadataOf(fields.metadata, sources.get('metadata'), `${pointer}/metadata`),
    ttlMs,
    condition: versionCondition(expectedVersion),
  }
}

export function versionCondition(expectedVersion: number | undefined): Condition | undefined {
  return expectedVersion === undefined
    ? undefined
    : { kind: 'version', versions: [expectedVersion] }
}

function putValue(
  { valueBase64, contentType }: PutFields['fields'],
  json: string | undefined,
  { pointer, limits }: { pointer: string; limits: StateLimits },
): EntryValue {
  if ((json === undefined) === (valueBase64 === undefined)) {
    throw fault(pointer, 'must have either `value` or `valueBase64`')
  }
  if (json !== undefined) {
    if (contentType !== undefined && contentType !== jsonType) {
      throw fault(`${pointer}/contentType`, 'is of bytes; send these as `valueBase64`')
    }
    return jsonValue(compactJson(json), limits)
  }
  return bytesValue(
    bytesOf(valueBase64 ?? '', `${pointer}/valueBase64`),
    contentType ?? anyType,
    limits,
  )
}

function jsonValue(json: string, { stateValueBytesMax: maxBytes }: StateLimits): EntryValue {
  if (exceedsBytes(json, maxBytes)) throw valueTooLarge(maxBytes)
  return { json, contentType: null, bytes: null }
}

/** The bytes of a body as a value; JSON is kept as such. */
export function bytesValue(
  bytes: Buffer,
  contentType: string,
  { stateValueBytesMax: maxBytes }: StateLimits,
): EntryValue {
  if (bytes.length > maxBytes) throw valueTooLarge(maxBytes)
  return { json: null, contentType, bytes }
}

function valueTooLarge(maxBytes: number): Problem {
  return new Problem('body-too-large', `A value has at most ${maxBytes} bytes.`, {
    facts: { maxBytes },
  })
}

function bytesOf(base64: string, pointer: string): Buffer {
  if (/^[A-Za-z0-9+/]*={0,2}$/.test(base64) && base64.length % 4 === 0) {
    return Buffer.from(base64, 'base64')
  }
  throw fault(pointer, 'must be base64 with its padding')
}

/** Metadata as jsonb takes it: no NUL in its texts, no number beyond a double. */
export function metadataOf(
  parsed: unknown,
  source: string | undefined,
  pointer: string,
): string | null {
  if (source === undefined) return null
  const stack: unknown[] = [parsed]
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    if (typeof value === 'object' && value !== null) {
      for (const [name, member] of Object.entries(value)) stack.push(name, member)
    } else if (
      typeof value === 'string' ? value.includes('\0') : value === Infinity || value === -Infinity
    ) {
      throw fault(pointer, 'holds NUL or a number that is too large; PostgreSQL cannot keep it')
    }
  }
  return compactJson(source)
}

/** Reads operations of the right shape; `text` is their array as it was sent. A key may be written once. */
export function receiveOperations(
  operations: readonly OperationBody[],
  text: string,
  { pointer, limits }: { pointer: string; limits: StateLimits },
): StateOperation[] {
  refuseTooMany(operations.length, limits)
  const sources = elementSources(text)
  const written = new Map<string, number>()
  return operations.map((body, index) => {
    const at = `${pointer}/${index}`
    const operation = receiveOperation(body, sources[index] ?? '{}', { pointer: at, limits })
    if (operation.kind === 'get') return operation
    const before = written.get(operation.key)
    if (before !== undefined) {
      throw fault(at, `writes the key that ${pointer}/${before} writes; write each key once`)
    }
    written.set(operation.key, index)
    return operation
  })
}

/** Refuses so many operations in one request. */
export function refuseTooMany(count: number, { stateOperationsMax: max }: StateLimits): void {
  if (count <= max) return
  throw new Problem(
    'too-many-actions',
    `There are ${count} operations; ${max} are allowed at once.`,
    {
      facts: { maxActions: max },
    },
  )
}

/** Reads one operation of the right shape; `text` is the operation as it was sent. */
export function receiveOperation(
  body: OperationBody,
  text: string,
  { pointer, limits }: { pointer: string; limits: StateLimits },
): StateOperation {
  if ('get' in body) return { kind: 'get', key: body.get.key }
  if ('delete' in body) {
    const { key, expectedVersion } = body.delete
    return { kind: 'delete', key, condition: versionCondition(expectedVersion) }
  }
  const { key, ...fields } = body.put
  const source = memberSources(text).get('put') ?? '{}'
  return toPut(
    key,
    { fields: fields as PutFields['fields'], text: source, pointer: `${pointer}/put` },
    limits,
  )
}

/** Reads comparisons of the right shape; `text` is their array as it was sent. */
export function receiveComparisons(
  comparisons: readonly ComparisonBody[],
  text: string,
): Comparison[] {
  const sources = elementSources(text)
  return comparisons.map((body, index) => {
    const json = memberSources(sources[index] ?? '{}').get('value')
    return receiveComparison(body, json, `/compare/${index}`)
  })
}

function receiveComparison(
  { key, op, target, value, valueBase64, path = [] }: ComparisonBody,
  json: string | undefined,
  pointer: string,
): Comparison {
  switch (target) {
    case 'version':
      if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) {
        return { key, op, target, version: value }
      }
      throw fault(`${pointer}/value`, 'must be a version, an integer from 0 on')
    case 'exists':
      if (value === undefined) return { key, op, target, exists: true }
      if (typeof value === 'boolean') return { key, op, target, exists: value }
      throw fault(`${pointer}/value`, 'must be true or false')
    case 'value':
      if (valueBase64 !== undefined) {
        return { key, op, target, bytes: bytesOf(valueBase64, `${pointer}/valueBase64`) }
      }
      return { key, op, target, json: required(json, pointer) }
    case 'metadata':
      return { key, op, target, path, json: required(json, pointer) }
  }
}

function required(json: string | undefined, pointer: string): string {
  if (json !== undefined) return json
  throw fault(`${pointer}/value`, 'is missing; say what to compare with')
}

function fault(pointer: string, message: string): Problem {
  return invalidRequest('body', [{ pointer, message } satisfies Fault])
}

/** The metadata that a query has, as JSON. */
export function metadataOfQuery(text: string): string | null {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidRequest('query', [
      { pointer: '/query/metadata', message: 'must be a JSON object' },
    ])
  }
  return metadataOf(value, text, '/query/metadata')
}
