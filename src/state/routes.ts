import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { faultsBelow } from '../delta/faults.ts'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../http/answers.ts'
import { bodyText } from '../http/body.ts'
import { invalidRequest } from '../http/faults.ts'
import { parseJson } from '../http/json-reading.ts'
import { locationHeader, refusals, strictObject, Version, writeResponse } from '../http/schema.ts'
import { faultFinder, refuseMisplaced } from '../http/validation.ts'
import type { Answer, WriteOutcome } from '../idempotency/rules.ts'
import { type FenceBody, Fences, FencesText } from '../locks/fence-schema.ts'
import { type Fence, toFences } from '../locks/fences.ts'
import { Problem } from '../problems.ts'
import { conditionOf } from './conditions.ts'
import { deletionText, etagOf, receiptText } from './entry-json.ts'
import type { PutOperation, StateOperation, StateResult } from './operations.ts'
import {
  bytesValue,
  metadataOfQuery,
  type StateLimits,
  toPut,
  versionCondition,
} from './receive-operations.ts'
import { entryNotFound } from './rules.ts'
import {
  EntryDeletion,
  EntryParams,
  EntryReceipt,
  etagHeader,
  ofWriting,
  PutEntry,
  PutQuery,
  RawValue,
  WriteHeaders,
} from './schema.ts'
import { type StateContext, submitProposal } from './submit-proposal.ts'

/** What the routes of state need. */
export type StateRoutesContext = StateContext & StateLimits

/** `/state/:namespace/entries/:key`: write a value under a key, or delete it. */
export const stateRoutes: FastifyPluginAsyncTypebox<StateRoutesContext> = async (app, context) => {
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
      const fences = receiveFences(request)
      const outcome = await submit(context, request, { operation, fences })
      return sendOutcome(reply, outcome)
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
          fences: Type.Optional(FencesText),
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
      const operation = { kind: 'delete' as const, key, condition }
      const fences = receiveFences(request)
      const outcome = await submit(context, request, { operation, fences })
      return sendOutcome(reply, outcome)
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

/** The fences of a body that is JSON, or else those of the query. */
function receiveFences(request: FastifyRequest): Fence[] {
  const { fences: text } = request.query as { fences?: string }
  if (text === undefined) return toFences((request.body as Partial<PutEntry> | undefined)?.fences)
  const value = parseJson(text)
  const faults = faultFinder(request, Fences)(value as object)
  if (faults.length === 0) return toFences(value as FenceBody[])
  throw invalidRequest('query', faultsBelow('/query/fences', faults))
}

/** Commits one operation, and answers what became of it. */
function submit(
  context: StateRoutesContext,
  request: FastifyRequest,
  { operation, fences }: { operation: StateOperation; fences: readonly Fence[] },
): Promise<WriteOutcome> {
  const { namespace } = request.params as { namespace: string }
  return submitProposal(context, {
    namespace,
    proposal: { operations: [operation], isAtomic: true },
    fences,
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
