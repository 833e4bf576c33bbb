import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { requestId } from './schema.ts'
import {
  deflateEnd,
  deflateHead,
  emptyChecksum,
  joinChecksums,
  SharedText,
  takesDeflate,
} from './shared-text.ts'

/** An event of a stream; `data` is one line. */
export interface ServerSentEvent {
  event: string
  /** The place behind which a reader that sends it as Last-Event-ID goes on. */
  id?: string
  data: string
}

/** The event as it is sent. */
export function eventText({ event, id, data }: ServerSentEvent): string {
  return `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`
}

/** A stream of server-sent events to one reader. */
export interface EventStream {
  isOpen: () => boolean
  /**
   * Sends events. Settles when there is room for more, or the stream is closed; there must be one call at a time.
   * What is sent to a closed stream is lost.
   */
  send: (text: SharedText) => Promise<void>
  /** Ends the stream in order. */
  end: () => void
  /** Calls the listener once the stream is closed, by whomever. */
  onClose: (listener: () => void) => void
}

/** The streams of a server. */
export interface EventStreams {
  /** Answers a request with a stream that goes on until one side ends it; one for HEAD ends at once. */
  open: (request: FastifyRequest, reply: FastifyReply) => EventStream
}

export interface EventStreamOptions {
  /** Time for which a reader may leave no room before it is cut off. */
  blockedMsMax: number
  /** Time between two comments that keep idle connections alive. */
  heartbeatMs?: number
}

/** Asks a reader that has lost the stream to come back after a second. */
const retry = new SharedText('retry: 1000\n\n')
const heartbeat = new SharedText(': heartbeat\n\n')

const headers = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  // Proxies that gather answers would hold the events back.
  'x-accel-buffering': 'no',
  vary: 'accept-encoding',
  // The stream is the last answer of its connection, so a stop need not wait for another request.
  connection: 'close',
}

/** Lets routes answer with streams, and ends them all when the server closes. */
export function installEventStreams(
  app: FastifyInstance,
  { blockedMsMax, heartbeatMs = 15_000 }: EventStreamOptions,
): EventStreams {
  const closers = new Set<() => void>()
  let closing = false
  app.addHook('preClose', async () => {
    closing = true
    for (const close of closers) close()
  })
  return {
    open(request, reply) {
      reply.hijack()
      const { raw } = reply
      const deflates = takesDeflate(request.headers['accept-encoding'])
      raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        ...headers,
        ...(deflates && { 'content-encoding': 'deflate' }),
      })
      const stream = streamTo(raw, { blockedMsMax, heartbeatMs, deflates })
      void stream.send(retry)
      // To a reader that leaves no room, an end in order would never get through.
      const close = () => (raw.writableNeedDrain ? raw.destroy() : stream.end())
      closers.add(close)
      stream.onClose(() => closers.delete(close))
      if (closing || request.method === 'HEAD') stream.end()
      return stream
    },
  }
}

function streamTo(
  raw: ServerResponse,
  { blockedMsMax, heartbeatMs, deflates }: Required<EventStreamOptions> & { deflates: boolean },
): EventStream {
  let isOpen = !raw.destroyed
  let cutOff: NodeJS.Timeout | undefined
  let goOn = () => {}
  const write = (bytes: Buffer) => {
    if (isOpen && !raw.write(bytes)) cutOff ??= setTimeout(() => raw.destroy(), blockedMsMax)
  }
  const encoding = deflates ? deflateTo(write) : plainTo(write)
  const beat = setInterval(() => {
    if (cutOff === undefined) void encoding.write(heartbeat)
  }, heartbeatMs)
  const unblock = () => {
    clearTimeout(cutOff)
    cutOff = undefined
    goOn()
  }
  const shut = () => {
    isOpen = false
    clearInterval(beat)
    unblock()
  }
  raw.on('drain', unblock)
  raw.once('close', shut)
  if (!isOpen) shut()
  return {
    isOpen: () => isOpen,
    async send(text) {
      await encoding.write(text)
      if (cutOff === undefined) return
      await new Promise<void>((resolve) => {
        goOn = resolve
      })
    },
    end() {
      if (!isOpen) return
      shut()
      raw.end(encoding.end())
    },
    onClose(listener) {
      // The reader may have gone before its stream began.
      if (raw.destroyed) setImmediate(listener)
      else raw.once('close', listener)
    },
  }
}

/** How texts go into a stream. */
interface Encoding {
  write: (text: SharedText) => Promise<void>
  /** What the stream ends with. */
  end: () => Buffer | undefined
}

function plainTo(write: (bytes: Buffer) => void): Encoding {
  return { write: async ({ plain }) => write(plain), end: () => undefined }
}

/** All readers get the same compressed texts; their streams differ in the checksum at the end. */
function deflateTo(write: (bytes: Buffer) => void): Encoding {
  let checksum = emptyChecksum
  write(deflateHead)
  return {
    async write(text) {
      const deflated = await text.deflated()
      checksum = joinChecksums(checksum, deflated.checksum, text.plain.length)
      write(deflated.bytes)
    },
    end: () => deflateEnd(checksum),
  }
}

/** The answer of a route that streams events; `example` is what stands in a stream. */
export function eventStreamResponse(description: string, example: string) {
  // Some tools take the schema for that of the whole stream, some for that of one event: neither is said.
  const schema = Type.Unknown({ description: 'Events, as in the HTML standard.' })
  return {
    description,
    headers: requestId,
    content: { 'text/event-stream': { schema, example } },
  }
}
