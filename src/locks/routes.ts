import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { jsonAnswer, sendOutcome } from '../http/answers.ts'
import { bodyText } from '../http/body.ts'
import { invalidRequest, refuseBeyond } from '../http/faults.ts'
import { memberTexts, objectText } from '../http/json-text.ts'
import { jsonResponse, refusals, writeResponse } from '../http/schema.ts'
import { whileWanted } from '../http/while-wanted.ts'
import type { Problem } from '../problems.ts'
import { readMetadata } from '../runs/metadata.ts'
import type { AdvisoryKeeper } from './advisory/keeper.ts'
import { readAdvisoryKey } from './advisory/rules.ts'
import type { Acquisition, Keeper, Lease } from './keeper.ts'
import { grantText, holderText } from './lock-json.ts'
import { lockLost, notAcquired } from './refusals.ts'
import {
  AcquireLock,
  ForcedLock,
  LockGrant,
  LockParams,
  LockRelease,
  ReleaseLock,
  RenewLock,
} from './schema.ts'

/** What the routes of locks need. */
export interface LockRoutesContext {
  keeper: Keeper
  advisory: AdvisoryKeeper
  lockTtlMsMax: number
  lockDelayMsMax: number
  lockWaitMsMax: number
  onLockRefused: (reason: 'held' | 'lost' | 'deadlock') => void
  /** Told of each lock that was forced open, and of who was thrown out. */
  onForced: (facts: { name: string; requestId: string; holders: readonly object[] }) => void
}

/** `/locks/:name`: acquire, renew and release locks, and force them open. */
export const lockRoutes: FastifyPluginAsyncTypebox<LockRoutesContext> = async (app, context) => {
  const { keeper, advisory } = context
  // Who waits would hold up a stop for as long as he may wait.
  app.addHook('preClose', keeper.endWaits)

  app.post(
    '/locks/:name/acquire',
    {
      bodyLimit: lockBytesMax,
      schema: {
        operationId: 'acquireLock',
        tags: ['locks'],
        summary: 'Acquire a lock, for as long as its lease runs',
        description:
          'The `token` rises with every grant; writes that carry it as a fence are refused once it is out of date. Who asks again for what it holds gets the same token, and its lease runs for at least as long as it says now. With `waitMs` the request waits in a line: by priority, and within one in the order of arrival; nobody overtakes who cannot have the lock beside him. Who closes the connection leaves the line. Where requests wait for each other in a circle, over locks and reservations of tables and at whatever servers, the one of the lowest priority gives way, of several the youngest: it gets 409 `deadlock` with the cycle.',
        params: LockParams,
        body: AcquireLock,
        response: {
          200: writeResponse('Held.', LockGrant),
          ...refusals('lock-held', 'deadlock', 'backend-not-available', ...ofBodies),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const isAdvisory = request.body.backend === 'advisory'
      const acquisition = receive(context, name, request)
      const key = receiveKey(request.body)
      const acquired = await whileWanted(request, (signal) =>
        isAdvisory
          ? advisory.acquire({ ...acquisition, signal }, key)
          : keeper.acquire({ ...acquisition, signal }),
      )
      if (acquired.kind !== 'granted') {
        context.onLockRefused(acquired.kind === 'deadlock' ? 'deadlock' : 'held')
        throw notAcquired(name, acquired)
      }
      const { grant, consistencyToken } = acquired
      return send(reply, { text: grantText(name, grant), consistencyToken })
    },
  )

  app.post(
    '/locks/:name/renew',
    {
      bodyLimit: lockBytesMax,
      schema: {
        operationId: 'renewLock',
        tags: ['locks'],
        summary: 'Renew the lease of a lock',
        description:
          'It begins anew. A lease that has run out is lost, even where nobody else has the lock yet.',
        params: LockParams,
        body: RenewLock,
        response: {
          200: jsonResponse('Held.', LockGrant),
          ...refusals('lock-lost', ...ofBodies),
        },
      },
    },
    async (request, reply) => {
      const { ttlMs } = request.body
      const lease = { kind: 'lock', ...request.params, ...request.body } as const
      if (ttlMs !== undefined) refuseBeyond({ ttlMs }, { ttlMs: context.lockTtlMsMax })
      const grant = await keeper.renew(lease)
      if (grant === undefined) throw lost(context, lease)
      return send(reply, { text: grantText(lease.name, grant) })
    },
  )

  app.post(
    '/locks/:name/release',
    {
      bodyLimit: lockBytesMax,
      schema: {
        operationId: 'releaseLock',
        tags: ['locks'],
        summary: 'Release a lock',
        description: 'Whoever waits for it has it when this is answered.',
        params: LockParams,
        body: ReleaseLock,
        response: {
          200: writeResponse('Free.', LockRelease),
          ...refusals('lock-lost', ...ofBodies),
        },
      },
    },
    async (request, reply) => {
      const lease = { kind: 'lock', ...request.params, ...request.body } as const
      await advisory.give(lease)
      const { result, consistencyToken } = await keeper.release(lease)
      if (!result) throw lost(context, lease)
      const { name, holder, token } = lease
      return send(reply, { text: JSON.stringify({ name, holder, token }), consistencyToken })
    },
  )

  app.delete(
    '/locks/:name',
    {
      schema: {
        operationId: 'forceLock',
        tags: ['locks'],
        summary: 'Force a lock open',
        description:
          'Throws out all who have it, and ends a delay; whoever waits goes on. An event and a line in the log say who was thrown out. Their tokens are out of date from then on.',
        params: LockParams,
        response: { 200: writeResponse('Forced open.', ForcedLock), ...refusals() },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const { result, consistencyToken } = await keeper.force({ kind: 'lock', name })
      void advisory.settle().catch(() => {})
      const told = result.map(({ holder, mode, token }) => ({ holder, mode, token }))
      if (told.length > 0) context.onForced({ name, requestId: request.id, holders: told })
      const holders = `[${result.slice(0, 100).map(holderText).join(',')}]`
      return send(reply, {
        text: objectText({ ...memberTexts({ name }), holders }),
        consistencyToken,
      })
    },
  )
}

/** A lock is asked for in few words. */
const lockBytesMax = 16 * 1024

const ofBodies = ['invalid-json', 'body-too-large', 'unsupported-media-type'] as const

function receive(context: LockRoutesContext, name: string, request: FastifyRequest): Acquisition {
  const { backend: _, advisoryKey: _key, metadata, ...asked } = request.body as AcquireLock
  const { ttlMs, waitMs = 0, lockDelayMs = 0 } = asked
  refuseBeyond(
    { ttlMs, waitMs, lockDelayMs },
    {
      ttlMs: context.lockTtlMsMax,
      waitMs: context.lockWaitMsMax,
      lockDelayMs: context.lockDelayMsMax,
    },
  )
  const text = metadata === undefined ? null : (readMetadata(bodyText(request)) ?? null)
  return { kind: 'lock', name, ...asked, metadata: text }
}

/** The key of the advisory lock that is asked for, if it is named. */
function receiveKey({ backend, advisoryKey }: AcquireLock): bigint | undefined {
  if (advisoryKey === undefined) return undefined
  const key =
    backend === 'advisory' ? readAdvisoryKey(advisoryKey) : 'belongs to `backend` "advisory" alone'
  if (typeof key === 'bigint') return key
  throw invalidRequest('body', [{ pointer: '/advisoryKey', message: key }])
}

function lost({ onLockRefused }: LockRoutesContext, lease: Lease): Problem {
  onLockRefused('lost')
  return lockLost(lease)
}

function send(
  reply: FastifyReply,
  { text, consistencyToken }: { text: string; consistencyToken?: string | undefined },
) {
  return sendOutcome(reply, { answer: jsonAnswer(200, text), replayed: false, consistencyToken })
}
