import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import Type, { type TObject } from 'typebox'
import type { Db } from '../database/connect.ts'
import { consistencyTokenPattern } from '../database/consistency-token.ts'
import type { Reader, Readers } from '../database/replicas/reader.ts'
import { type ReadWish, walPlace } from '../database/replicas/rules.ts'
import { createExports, type OpenExport } from './exports.ts'
import { invalidRequest } from './faults.ts'

/** What a read preference looks like. */
export const readPreferencePattern = '^(primary|replica(; ?max-lag-ms=[0-9]{1,9})?)$'

/** What the route of a read reads with: the primary, or a replica where the request allows it and one will do. */
export interface Reads {
  db: Db
  openExport: OpenExport
}

declare module 'fastify' {
  interface FastifyRequest {
    reads: Reads
  }
  interface FastifyContextConfig {
    /** Whether a route of another method than GET only reads. */
    isRead?: boolean
  }
}

/** What the headers of a read may say, and how that is told to one who has said something else. */
const readHeaders = {
  'read-preference': {
    pattern: readPreferencePattern,
    description:
      'Where to read: `primary`, `replica`, or `replica; max-lag-ms=N` for what is N ms old at most. The primary answers where no replica will do; `Served-By` says who did. A replica shows a past, so do not decide a write by it.',
    message: 'must be primary, replica or replica; max-lag-ms=N',
  },
  'consistency-token': {
    pattern: consistencyTokenPattern,
    description:
      'The token that a write was answered with: what is read is no older. A replica that is not so far is waited for a moment; then the primary answers, which satisfies every token.',
    message: 'must be a token that a write was answered with, like 0/1A2B3C4D',
  },
}

const headers = Object.entries(readHeaders).map(([name, { pattern, message }]) => ({
  name,
  pattern: new RegExp(pattern),
  message,
}))

const ReadHeaders = Type.Object(
  Object.fromEntries(
    Object.entries(readHeaders).map(([name, { pattern, description }]) => [
      name,
      Type.Optional(Type.String({ pattern, description })),
    ]),
  ),
)

const servedBy = {
  'Served-By': Type.Enum(['primary', 'replica'], {
    type: 'string',
    description: 'Where it was read; for a list of lines, where it began.',
  }),
}

/** Holds what a request reads with, once it has asked for it. */
const readerKey = Symbol('reader')

/** Holds what is preferred for a request that says nothing itself. */
const preferenceKey = Symbol('preference')

interface Known {
  [readerKey]?: Reader & Reads
  [preferenceKey]?: string
}

/** Says where a request reads that says nothing itself, as its header would. Call it before anything is read. */
export function preferReads(request: FastifyRequest, preference: string): void {
  ;(request as Known)[preferenceKey] = preference
}

export interface ReadPreferenceOptions {
  readers: Readers
  /** As for `createExports`. */
  exportStallMsMax: number
}

/**
 * Lets every read say how fresh its answer must be; what is not well formed is refused before anything is read. A route
 * that reads with `request.reads` offers replicas, one that reads otherwise is answered by the primary. Call it before the
 * routes.
 */
export function installReadPreference(app: FastifyInstance, options: ReadPreferenceOptions): void {
  const { readers, exportStallMsMax } = options
  const withExports = (reader: Reader): Reader & Reads => ({
    ...reader,
    openExport: createExports(reader.openRows, exportStallMsMax),
  })
  const primary = withExports(readers.primary)

  app.decorateRequest('reads', {
    getter(this: FastifyRequest) {
      const known = this as Known
      known[readerKey] ??= choose(this)
      return known[readerKey]
    },
  })

  function choose(request: FastifyRequest): Reader & Reads {
    const wish = isReadRequest(request) ? wishOf(request) : undefined
    return wish === undefined ? primary : withExports(readers.forWish(wish))
  }

  app.addHook('onRoute', (route) => {
    const { method, schema } = route
    if (schema === undefined || schema.hide || schema.tags?.includes('service')) return
    if (!isRead(route)) return
    route.onSend = [route.onSend ?? [], tellServedBy].flat()
    if (method === 'HEAD') return
    const own = schema.headers as TObject | undefined
    schema.headers = Type.Object({ ...ReadHeaders.properties, ...own?.properties })
    const { 200: answer } = schema.response as Record<number, { headers?: object }>
    if (answer !== undefined) answer.headers = { ...answer.headers, ...servedBy }
  })
  app.addHook('onRequest', async (request) => {
    if (!isReadRequest(request)) return
    const faults = headers.flatMap(({ name, pattern, message }) => {
      const value = request.headers[name]
      if (value === undefined || pattern.test(String(value))) return []
      return { pointer: `/headers/${name}`, message }
    })
    if (faults.length > 0) throw invalidRequest('headers', faults)
  })
}

const tellServedBy: NonNullable<Parameters<FastifyInstance['route']>[0]['onSend']> = (
  request: FastifyRequest,
  reply: { header: (name: string, value: string) => unknown },
  payload: unknown,
  done: (error: null, payload: unknown) => void,
) => {
  reply.header('served-by', (request as Known)[readerKey]?.servedBy() ?? 'primary')
  done(null, payload)
}

/** Whether a route only reads. */
export function isRead({ method, config }: Pick<RouteOptions, 'method' | 'config'>): boolean {
  return method === 'GET' || method === 'HEAD' || config?.isRead === true
}

function isReadRequest({ method, routeOptions }: FastifyRequest): boolean {
  return method === 'GET' || method === 'HEAD' || routeOptions.config.isRead === true
}

/** What the headers, which are well formed, or else what is preferred allows; undefined where the primary is to answer. */
function wishOf(request: FastifyRequest): ReadWish | undefined {
  const { headers } = request
  const said = headers['read-preference'] ?? (request as Known)[preferenceKey]
  const preference = String(said ?? 'primary')
  if (preference === 'primary') return undefined
  const [, maxLagMs] = preference.split('=')
  const token = headers['consistency-token']
  return {
    preference: 'replica',
    ...(maxLagMs !== undefined && { maxLagMs: Number(maxLagMs) }),
    ...(token !== undefined && { token: walPlace(String(token)) }),
  }
}
