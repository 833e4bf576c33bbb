import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { Db } from '../database/connect.ts'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../http/answers.ts'
import { bodyText } from '../http/body.ts'
import { sendList } from '../http/lists.ts'
import {
  jsonResponse,
  listResponse,
  locationHeader,
  PageQuery,
  refusals,
  requestId,
  strictObject,
  Version,
  writeResponse,
} from '../http/schema.ts'
import { refuseMisplaced } from '../http/validation.ts'
import type { Answer, WriteOutcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import { conditionOf, versionsOf } from './conditions.ts'
import { deletionText, entryText, etagOf, receiptText } from './entry-json.ts'
import type { EntryReader } from './entry-reader.ts'
import { keyRange } from './key-range.ts'
import type { PutOperation, StateOperation, StateResult } from './operations.ts'
import { listEntries } from './read-queries.ts'
import {
  bytesValue,
  metadataOfQuery,
  type StateLimits,
  toPut,
  versionCondition,
} from './receive-operations.ts'
import type { EntryRow } from './rows.ts'
import {
  Entry,
  EntryDeletion,
  EntryList,
  EntryParams,
  EntryReceipt,
  Key,
  NamespaceParams,
  ofWriting,
  PutEntry,
  PutQuery,
  RawValue,
  ReadHeaders,
  WriteHeaders,
} from './schema.ts'
import { type StateContext, submitProposal } from './submit-proposal.ts'

/** What the routes of state need. */
export interface StateRoutesContext extends StateContext, StateLimits {
  db: Db
  entryReader: EntryReader
}

const etagHeader = { ETag: Type.String({ description: 'The version, in quotes.' }) }

/** Bytes of values on a page at most, but for one entry. */
const pageBytesMax = 16 * 1024 * 1024

/** `/state/:namespace/entries`: values under keys. */
export const stateRoutes: FastifyPluginAsyncTypebox<StateRoutesContext> = async (app, context) => {
  const { db, namespaces, entryReader } = context

  app.put(
    '/state/:namespace/entries/:key',
    {
      schema: {
        operationId: 'putEntry',
        tags: ['state'],
        summary: 'Write an entry',
        description:
          'As JSON the body has the value and what goes with it. A body of any other type is the value itself; what goes with it is in the query.',
        headers: WriteHeaders,
        params: EntryParams,
        querystring: PutQuery,
        body: {
          content: {
            'application/json': { schema: PutEntry },
            'application/octet-stream': { schema: RawValue },
          },
        },
        response: {
          200: writeResponse('It has taken the place of an earlier one.', EntryReceipt, etagHeader),
          201: writeResponse('It is new.', EntryReceipt, { ...etagHeader, ...locationHeader }),
          ...refusals(...ofWriting, 'invalid-json', 'body-too-large', 'unsupported-media-type'),
        },
      },
    },
    async (request, reply) => {
      const operation = receivePut(request, context)
      const outcome = await submit(context, request, operation)
      return sendOutcome(reply, outcome)
    },
  )

  app.get(
    '/state/:namespace/entries/:key',
    {
      schema: {
        operationId: 'getEntry',
        tags: ['state'],
        summary: 'Read an entry',
        description: 'With `raw=true` the value alone, with its own type.',
        headers: ReadHeaders,
        params: EntryParams,
        querystring: strictObject({
          raw: Type.Optional(
            Type.Boolean({ description: 'Whether the answer is the value itself.' }),
          ),
        }),
        response: {
          200: {
            ...jsonResponse('The entry.', Entry, etagHeader),
            content: {
              'application/json': { schema: Entry },
              'application/octet-stream': { schema: RawValue },
            },
          },
          304: { description: 'It has a version that the caller has.', headers: requestId },
          ...refusals('entry-not-found'),
        },
      },
    },
    async (request, reply) => {
      const { namespace, key } = request.params
      const known = await namespaces.find(namespace)
      const entry = known && (await entryReader.read({ namespaceId: known.namespaceId, key }))
      if (entry === undefined) throw entryNotFound(namespace, key)
      reply.header('etag', etagOf(entry))
      const { 'if-none-match': etags } = request.headers
      if (etags !== undefined && isAmong(entry, etags)) return reply.code(304).send()
      if (request.query.raw !== true) {
        return reply.type('application/json').send(entryText(namespace, entry))
      }
      const { json, contentType, bytes } = entry.value
      return reply.type(contentType ?? 'application/json').send(json ?? bytes)
    },
  )

  app.delete(
    '/state/:namespace/entries/:key',
    {
      schema: {
        operationId: 'deleteEntry',
        tags: ['state'],
        summary: 'Delete an entry',
        description: 'Its version goes on should it be written again.',
        headers: WriteHeaders,
        params: EntryParams,
        querystring: strictObject({
          expectedVersion: Type.Optional(Version('The version that the entry must have.')),
        }),
        response: {
          200: writeResponse('It is deleted.', EntryDeletion),
          ...refusals(
            ...ofWriting,
            'invalid-json',
            'entry-not-found',
            'body-too-large',
            'unsupported-media-type',
          ),
        },
      },
    },
    async (request, reply) => {
      const { key } = request.params
      const expected = versionCondition(request.query.expectedVersion)
      const condition = conditionOf(request.headers, expected)
      const outcome = await submit(context, request, { kind: 'delete', key, condition })
      return sendOutcome(reply, outcome)
    },
  )

  app.get(
    '/state/:namespace/entries',
    {
      schema: {
        operationId: 'listEntries',
        tags: ['state'],
        summary: 'List entries by key',
        description:
          'Keys are ordered by the bytes of UTF-8. A namespace that nobody has written to is empty. A page ends early where values are large.',
        params: NamespaceParams,
        querystring: strictObject({
          prefix: Type.Optional(Key),
          start: Type.Optional(Key),
          end: Type.Optional(Key),
          keysOnly: Type.Optional(Type.Boolean({ description: 'Whether values are left out.' })),
          ...PageQuery,
        }),
        response: {
          200: listResponse('A page of entries.', EntryList),
          ...refusals('invalid-cursor'),
        },
      },
    },
    async (request, reply) => {
      const { namespace } = request.params
      const { prefix, start, end, keysOnly = false } = request.query
      const known = await namespaces.find(namespace)
      const json = (entry: EntryRow) =>
        keysOnly ? receiptText(namespace, entry) : entryText(namespace, entry)
      return sendList(request, reply, {
        name: `entries/${JSON.stringify([namespace, prefix, start, end, keysOnly])}`,
        position: Key,
        readPage: async (after, limit) => {
          if (known === undefined) return { items: [] }
          const range = { ...keyRange({ prefix, start, end }), after, ...known }
          const page = await listEntries(db, range, { limit, bytesMax: pageBytesMax })
          const next = page.hasMore ? page.entries.at(-1)?.key : undefined
          return { items: page.entries.map(json), next }
        },
      })
    },
  )
}

function receivePut(request: FastifyRequest, limits: StateLimits): PutOperation {
  const { key } = request.params as { key: string }
  const headers = request.headers as WriteHeaders
  const put = Buffer.isBuffer(request.body)
    ? receiveBytes(key, request.body, request, limits)
    : receiveJson(key, request, limits)
  return { ...put, condition: conditionOf(headers, put.condition) }
}

function receiveJson(key: string, request: FastifyRequest, limits: StateLimits): PutOperation {
  refuseMisplaced(request.query as PutQuery)
  const fields = request.body as PutEntry
  return toPut(key, { fields: fields as never, text: bodyText(request), pointer: '' }, limits)
}

function receiveBytes(
  key: string,
  bytes: Buffer,
  request: FastifyRequest,
  limits: StateLimits,
): PutOperation {
  const { ttlMs, metadata, expectedVersion } = request.query as PutQuery
  const contentType = request.headers['content-type'] ?? ''
  return {
    kind: 'put',
    key,
    value: bytesValue(bytes, contentType, limits),
    metadata: metadata === undefined ? null : metadataOfQuery(metadata),
    ttlMs,
    condition: versionCondition(expectedVersion),
  }
}

/** Commits one operation, and answers what became of it. */
function submit(
  context: StateRoutesContext,
  request: FastifyRequest,
  operation: StateOperation,
): Promise<WriteOutcome> {
  const { namespace } = request.params as { namespace: string }
  return submitProposal(context, {
    namespace,
    proposal: { operations: [operation], isAtomic: true },
    idempotent: idempotentRequest(request),
    answer: (result) =>
      result instanceof Problem ? problemAnswer(result, request) : answerWrite(result, request),
  })
}

function answerWrite(result: StateResult, request: FastifyRequest): Answer {
  const { namespace, results } = result
  const [done] = results
  if (done?.kind === 'put') {
    const { entry, isNew } = done
    const headers = { etag: etagOf(entry) }
    const text = receiptText(namespace, entry)
    if (!isNew) return jsonAnswer(200, text, headers)
    return jsonAnswer(201, text, { ...headers, location: addressOf(namespace, entry.key) })
  }
  if (done?.kind !== 'delete') throw new Error('an operation had no result of its kind')
  const { key, version } = done
  if (version === undefined) return problemAnswer(entryNotFound(namespace, key), request)
  return jsonAnswer(200, deletionText(result, { key, version }))
}

function addressOf(namespace: string, key: string): string {
  return `/state/${encodeURIComponent(namespace)}/entries/${encodeURIComponent(key)}`
}

function entryNotFound(namespace: string, key: string): Problem {
  return new Problem('entry-not-found', `There is no entry "${key}" in "${namespace}".`, {
    facts: { namespace, key },
  })
}

function isAmong({ version }: EntryRow, etags: string): boolean {
  return etags.trim() === '*' || versionsOf(etags.replaceAll('W/', '')).includes(version)
}
