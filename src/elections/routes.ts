import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Db } from '../database/connect.ts'
import type { EventWatch } from '../events/watch.ts'
import { ofEventStreams, WatchEventsHeaders, WatchEventsQuery } from '../events/watch-schema.ts'
import { jsonAnswer, sendOutcome } from '../http/answers.ts'
import { bodyText } from '../http/body.ts'
import { refuseBeyond } from '../http/faults.ts'
import { jsonResponse, refusals, writeResponse } from '../http/schema.ts'
import { type EventStreams, eventStreamResponse } from '../http/server-sent-events.ts'
import { whileWanted } from '../http/while-wanted.ts'
import type { Keeper } from '../locks/keeper.ts'
import { findLock } from '../locks/read-queries.ts'
import { readMetadata } from '../runs/metadata.ts'
import { electionText, leadershipText } from './election-json.ts'
import { electionNotFound, notElected, notLeader } from './refusals.ts'
import {
  Campaign,
  Election,
  ElectionParams,
  exampleElectionEvents,
  Leadership,
  RenewLeadership,
  Resignation,
  Resigned,
} from './schema.ts'

/** What the routes of elections need. */
export interface ElectionRoutesContext {
  db: Db
  keeper: Keeper
  electionWatch: EventWatch
  lockTtlMsMax: number
  lockWaitMsMax: number
}

/** `/elections/:name`: campaign, lead and resign, and see who leads. */
export const electionRoutes: FastifyPluginAsyncTypebox<
  ElectionRoutesContext & { eventStreams: EventStreams }
> = async (app, { eventStreams, ...context }) => {
  const { db, keeper } = context

  app.post(
    '/elections/:name/campaign',
    {
      bodyLimit: electionBytesMax,
      schema: {
        operationId: 'campaignToLead',
        tags: ['elections'],
        summary: 'Campaign to be the leader',
        description:
          'There is one leader at a time. Its `token` is higher than that of every leader before; writes that carry it as a fence are refused once another leads. With `waitMs` the request waits until those before it have led or given up, first come, first served; who closes the connection gives up. Who leads already gets the same token, and goes on with the `value` that it names now.',
        params: ElectionParams,
        body: Campaign,
        response: {
          200: writeResponse('Elected.', Leadership),
          ...refusals('not-leader', 'deadlock', ...ofBodies),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const { candidate, ttlMs, waitMs = 0 } = request.body
      const { lockTtlMsMax, lockWaitMsMax } = context
      refuseBeyond({ ttlMs, waitMs }, { ttlMs: lockTtlMsMax, waitMs: lockWaitMsMax })
      const metadata = readValue(request) ?? null
      const asked = { kind: 'election', name, holder: candidate, ttlMs, waitMs, metadata } as const
      const campaign = await whileWanted(request, (signal) => keeper.acquire({ ...asked, signal }))
      if (campaign.kind !== 'granted') throw notElected(name, campaign)
      const { grant, consistencyToken } = campaign
      return send(reply, { text: leadershipText(name, grant), consistencyToken })
    },
  )

  app.post(
    '/elections/:name/renew',
    {
      bodyLimit: electionBytesMax,
      schema: {
        operationId: 'renewLeadership',
        tags: ['elections'],
        summary: 'Go on leading',
        description:
          'The lease begins anew; one that has run out is lost, even where nobody else leads yet. A new `value` is told to all who watch.',
        params: ElectionParams,
        body: RenewLeadership,
        response: {
          200: jsonResponse('Leading.', Leadership),
          ...refusals('not-leader', ...ofBodies),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const { candidate: holder, token, ttlMs } = request.body
      if (ttlMs !== undefined) refuseBeyond({ ttlMs }, { ttlMs: context.lockTtlMsMax })
      const lease = { kind: 'election', name, holder, token, ttlMs } as const
      const metadata = readValue(request)
      const renewed =
        metadata === undefined
          ? await keeper.renew(lease)
          : (await keeper.change({ ...lease, metadata })).result
      if (renewed === undefined) throw await lost(name)
      return send(reply, { text: leadershipText(name, renewed) })
    },
  )

  app.post(
    '/elections/:name/resign',
    {
      bodyLimit: electionBytesMax,
      schema: {
        operationId: 'resignLeadership',
        tags: ['elections'],
        summary: 'Lead no more',
        description: 'Whoever waits to lead does when this is answered.',
        params: ElectionParams,
        body: Resignation,
        response: {
          200: writeResponse('Resigned.', Resigned),
          ...refusals('not-leader', ...ofBodies),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const { candidate, token } = request.body
      const lease = { kind: 'election', name, holder: candidate, token } as const
      const { result, consistencyToken } = await keeper.release(lease)
      if (!result) throw await lost(name)
      return send(reply, { text: JSON.stringify({ name, candidate, token }), consistencyToken })
    },
  )

  app.get(
    '/elections/:name',
    {
      schema: {
        operationId: 'getElection',
        tags: ['elections'],
        summary: 'Look up an election',
        description: 'Who leads, and who waits to.',
        params: ElectionParams,
        response: {
          200: jsonResponse('The election.', Election),
          ...refusals('election-not-found'),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const state = await findLock(request.reads.db, { kind: 'election', name })
      if (state === undefined) throw electionNotFound(name)
      return send(reply, { text: electionText(state) })
    },
  )

  app.get(
    '/elections/:name/watch',
    {
      schema: {
        operationId: 'watchElection',
        tags: ['elections'],
        summary: 'Follow an election',
        description: `Server-sent events: \`elected\`; \`changed\` when the leader has a new value; \`resigned\`; \`expired\` when it did not renew in time; \`waiting\` when somebody waits to lead. ${ofEventStreams} An election that nobody has campaigned in is watched until somebody does.`,
        headers: WatchEventsHeaders,
        params: ElectionParams,
        querystring: WatchEventsQuery,
        response: {
          200: eventStreamResponse('The events, without end.', exampleElectionEvents),
          ...refusals('event-not-found', 'events-compacted'),
        },
      },
    },
    (request, reply) => {
      const { 'last-event-id': lastEventId } = request.headers
      const wishes = { ...request.params, ...request.query, lastEventId }
      return context.electionWatch.stream(wishes, () => eventStreams.open(request, reply))
    },
  )

  async function lost(name: string) {
    const state = await findLock(db, { kind: 'election', name })
    return notLeader(name, state?.holders[0])
  }
}

/** A campaign is told of in few words; its value is read by all who watch. */
const electionBytesMax = 16 * 1024

const ofBodies = ['invalid-json', 'body-too-large', 'unsupported-media-type'] as const

function readValue(request: FastifyRequest): string | undefined {
  return readMetadata(bodyText(request), 'value')
}

function send(
  reply: FastifyReply,
  { text, consistencyToken }: { text: string; consistencyToken?: string | undefined },
) {
  return sendOutcome(reply, { answer: jsonAnswer(200, text), replayed: false, consistencyToken })
}
