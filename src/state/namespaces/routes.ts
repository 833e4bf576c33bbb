import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../../http/answers.ts'
import { sendList, toPage } from '../../http/lists.ts'
import {
  IdempotencyHeaders,
  jsonResponse,
  listResponse,
  locationHeader,
  refusals,
  strictObject,
  writeResponse,
} from '../../http/schema.ts'
import { Problem } from '../../problems.ts'
import { namespaceNotFound } from '../rules.ts'
import { KeyPageQuery, NamespaceName, NamespaceParams } from '../schema.ts'
import { namespaceText, summaryText } from './namespace-json.ts'
import { findNamespace, listNamespaces } from './queries.ts'
import { NamespaceList, SetNamespace, StateNamespace } from './schema.ts'
import { type NamespaceContext, setNamespace } from './set-namespace.ts'

/** `/state` and `/state/:namespace`: the namespaces, what they hold and how they are set. */
export const namespaceRoutes: FastifyPluginAsyncTypebox<NamespaceContext> = async (
  app,
  context,
) => {
  app.get(
    '/state',
    {
      schema: {
        operationId: 'listNamespaces',
        tags: ['state'],
        summary: 'List namespaces by name',
        description: 'Names are ordered by the bytes of UTF-8.',
        querystring: strictObject(KeyPageQuery),
        response: {
          200: listResponse('A page of namespaces.', NamespaceList),
          ...refusals('invalid-cursor'),
        },
      },
    },
    (request, reply) =>
      sendList(request, reply, {
        name: 'namespaces',
        position: NamespaceName,
        readPage: async (after, limit) => {
          const rows = await listNamespaces(request.reads.db, { after, limit: limit + 1 })
          return toPage(rows, limit, { json: summaryText, position: ({ namespace }) => namespace })
        },
      }),
  )

  app.get(
    '/state/:namespace',
    {
      schema: {
        operationId: 'getNamespace',
        tags: ['state'],
        summary: 'A namespace, what it holds and how it is set',
        description: 'Rows are counted up to 100,000; beyond that PostgreSQL estimates.',
        params: NamespaceParams,
        response: {
          200: jsonResponse('The namespace.', StateNamespace),
          ...refusals('namespace-not-found', 'method-not-allowed'),
        },
      },
    },
    async (request, reply) => {
      const { namespace } = request.params
      const found = await findNamespace(request.reads.db, namespace)
      if (found === undefined) throw namespaceNotFound(namespace)
      return reply.type('application/json').send(namespaceText(found))
    },
  )

  app.put(
    '/state/:namespace',
    {
      bodyLimit: settingsBytesMax,
      schema: {
        operationId: 'setNamespace',
        tags: ['state'],
        summary: 'Set a namespace, and make it where there is none',
        description:
          'What is left out goes back to its default. What leaves the history by a new retention leaves it in the background; an index is built and dropped there too.',
        headers: IdempotencyHeaders,
        params: NamespaceParams,
        body: SetNamespace,
        response: {
          200: writeResponse('It is set.', StateNamespace),
          201: writeResponse('It was made.', StateNamespace, locationHeader),
          ...refusals(
            'invalid-json',
            'invalid-idempotency-key',
            'method-not-allowed',
            'idempotency-in-progress',
            'body-too-large',
            'unsupported-media-type',
            'idempotency-key-reused',
          ),
        },
      },
    },
    async (request, reply) => {
      const { params, body } = request
      const outcome = await setNamespace(
        context,
        { ...params, body },
        {
          idempotent: idempotentRequest(request),
          answer: (result) => {
            if (result instanceof Problem) return problemAnswer(result, request)
            const text = namespaceText(result.row)
            if (!result.isNew) return jsonAnswer(200, text)
            const location = `/state/${encodeURIComponent(params.namespace)}`
            return jsonAnswer(201, text, { location })
          },
        },
      )
      return sendOutcome(reply, outcome)
    },
  )
}

/** Settings are told in few words. */
const settingsBytesMax = 16 * 1024
