import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { compactJson } from '../delta/json.ts'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../http/answers.ts'
import { bodyText } from '../http/body.ts'
import { invalidRequest } from '../http/faults.ts'
import { IdempotencyHeaders, refusals, writeResponse } from '../http/schema.ts'
import { type EventStreams, eventStreamResponse } from '../http/server-sent-events.ts'
import { Problem } from '../problems.ts'
import { type PublishContext, publish } from './publish.ts'
import type { Publication } from './queries.ts'
import {
  ChannelParams,
  exampleChannelEvents,
  Payload,
  PublishedEvent,
  PublishQuery,
} from './schema.ts'
import type { EventWatch } from './watch.ts'
import { ofEventStreams, WatchEventsHeaders, WatchEventsQuery } from './watch-schema.ts'

/** What the routes of events need. */
export interface EventRoutesContext extends PublishContext {
  channelWatch: EventWatch
  eventBytesMax: number
}

/** `/events/:channel`: publish to a channel, and follow it. */
export const eventRoutes: FastifyPluginAsyncTypebox<
  EventRoutesContext & { eventStreams: EventStreams }
> = async (app, { eventStreams, ...context }) => {
  app.post(
    '/events/:channel',
    {
      bodyLimit: context.eventBytesMax,
      schema: {
        operationId: 'publishEvent',
        tags: ['events'],
        summary: 'Publish to a channel',
        description:
          'The body is the payload. With 201 it is durable: everybody who watches the channel gets it, and who comes back later does, for as long as events are kept. Events of a channel are numbered in the order in which they were published.',
        headers: IdempotencyHeaders,
        params: ChannelParams,
        querystring: PublishQuery,
        body: Payload,
        response: {
          201: writeResponse('It is published.', PublishedEvent),
          ...refusals(
            'invalid-json',
            'invalid-idempotency-key',
            'idempotency-in-progress',
            'body-too-large',
            'unsupported-media-type',
            'idempotency-key-reused',
          ),
        },
      },
    },
    async (request, reply) => {
      const { kind = 'message' } = request.query
      const publication = receive(request, { ...request.params, kind })
      const outcome = await publish(context, publication, {
        idempotent: idempotentRequest(request),
        answer: (result) =>
          result instanceof Problem
            ? problemAnswer(result, request)
            : jsonAnswer(201, JSON.stringify(result)),
      })
      return sendOutcome(reply, outcome)
    },
  )

  app.get(
    '/events/:channel',
    {
      schema: {
        operationId: 'watchChannel',
        tags: ['events'],
        summary: 'Follow a channel',
        description: `Server-sent events: what is published, each by its kind, \`message\` where it has none. ${ofEventStreams} A channel that nobody has published to is watched until somebody does.`,
        headers: WatchEventsHeaders,
        params: ChannelParams,
        querystring: WatchEventsQuery,
        response: {
          200: eventStreamResponse('The events, without end.', exampleChannelEvents),
          ...refusals('event-not-found', 'events-compacted'),
        },
      },
    },
    (request, reply) => {
      const { 'last-event-id': lastEventId } = request.headers
      const wishes = { name: request.params.channel, ...request.query, lastEventId }
      return context.channelWatch.stream(wishes, () => eventStreams.open(request, reply))
    },
  )
}

/** Events that the stream itself sends. */
const ownKinds: ReadonlySet<string> = new Set(['bookmark', 'compacted'])

function receive(request: FastifyRequest, to: Omit<Publication, 'payload'>): Publication {
  if (ownKinds.has(to.kind)) {
    const message = 'is a word of the stream itself; choose another'
    throw invalidRequest('query', [{ pointer: '/query/kind', message }])
  }
  return { ...to, payload: compactJson(bodyText(request)) }
}
